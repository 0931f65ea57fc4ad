/** QEMU versions that the linter can speak for: those where something of storage changed, and the one on this machine. */
const KNOWN = ['10.2', '9.2', '8.2', '7.2', '6.2', '5.2', '4.2', '2.12'];

/** The newest first; the chosen and the installed version are always among them. */
export function lineVersions(chosen: string, installed: string | null): string[] {
  const all = new Set([...KNOWN, chosen, ...(installed === null ? [] : [installed])]);
  return [...all].sort((a, b) => ordinal(b) - ordinal(a));
}

function ordinal(version: string): number {
  const [major, minor] = version.split('.').map(Number);
  return major * 1000 + (minor ?? 0);
}
