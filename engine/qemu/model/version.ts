/** QEMU versions as `major.minor`. */

/** Negative when `a` is older than `b`. */
export function compareVersions(a: string, b: string): number {
  const [aMajor, aMinor] = a.split('.').map(Number);
  const [bMajor, bMinor] = b.split('.').map(Number);
  return aMajor - bMajor || (aMinor || 0) - (bMinor || 0);
}

/** Whether `version` is `from` or newer and older than `before`. */
export function inVersions(version: string, from?: string, before?: string): boolean {
  return (
    (from === undefined || compareVersions(version, from) >= 0) &&
    (before === undefined || compareVersions(version, before) < 0)
  );
}
