/** For tests that make LUKS headers with QEMU's tools. */

/**
 * Runs `work` again when QEMU could not measure how fast it derives keys ("Unable to get accurate CPU usage"): it looks at a thread's
 * CPU time, which the kernel counts in ticks, so that a quick derivation sometimes takes no time at all (crypto/pbkdf.c).
 */
export function patiently<T>(work: () => T): T {
  for (let left = 20; ; left--) {
    try {
      return work();
    } catch (error) {
      if (left === 0 || !String(error).includes('accurate CPU usage')) throw error;
    }
  }
}
