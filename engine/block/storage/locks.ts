/**
 * Who else has an image open: QEMU's own locks, as Linux lists them.
 *
 * QEMU locks single bytes of the file (`block/file-posix.c`, raw_apply_lock_bytes): byte 100 + n says "I use permission n", byte
 * 200 + n says "nobody else may use permission n". Since Linux 3.15 these are locks of an open file description, which
 * `/proc/locks` lists without a process; the process is the one whose `/proc/PID/fdinfo` shows them.
 */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { PlatterError } from '../../errors.ts';

/** Another process that has the image open. */
export interface ImageHolder {
  /** Undefined when the process may not be looked at (another user's, another container's). */
  pid?: number;
  /** Its name, as `ps -o comm` shows it. */
  command?: string;
  /** It writes to the image: what is read meanwhile may be half of a change. */
  writes: boolean;
  /** It expects that nobody else writes to the image. */
  keepsWritersOut: boolean;
}

/** Bits of QEMU's permissions (`include/block/block-common.h`): write and resize. */
const WRITE = [1, 3];
const USED = 100;
const DENIED = 200;

interface LockRow {
  /** `fe:00`: major and minor number, hexadecimal. */
  device: string;
  inode: number;
  start: number;
  end: number;
}

/** `1: OFDLCK ADVISORY  READ -1 fe:00:2228247 100 101`; with `EOF` a lock reaches to the end. */
const ROW =
  /^(?:lock:\s+)?\d+: (?:OFDLCK|POSIX)\s+\w+\s+(?:READ|WRITE)\s+-?\d+\s+(\w+:\w+):(\d+)\s+(\d+)\s+(\d+|EOF)/;

/**
 * The processes that hold `path` open with QEMU's locks. Empty where there is no `/proc`, and for a file that is not there. Never
 * throws.
 */
export function imageHolders(path: string): ImageHolder[] {
  if (process.platform !== 'linux') return [];
  return quietly(() => find(path)) ?? [];
}

function find(path: string): ImageHolder[] {
  const { dev, ino } = statSync(path);
  const rows = readRows('/proc/locks').filter((row) => row.inode === ino);
  if (rows.length === 0) return [];
  const seen = processesWith(dev, ino);
  if (seen.length > 0) return seen;
  // An inode's number is its own only on its device; btrfs and overlays show another device here than stat does, but whoever
  // may be looked at was found above.
  const hidden = rows.filter((row) => row.device === deviceName(dev));
  return hidden.length === 0 ? [] : [holder(hidden)];
}

/** The first holder that stands against opening `path`, for writing or (with `write` false) for reading undisturbed. */
export function conflictingHolder(path: string, write: boolean): ImageHolder | undefined {
  return imageHolders(path).find((holder) => holder.writes || (write && holder.keepsWritersOut));
}

/**
 * Before `path` is opened: throws `storage.held`, naming the process, when that would disturb or be disturbed by another one, as
 * QEMU's own `Failed to get "write" lock` does.
 */
export function refuseHeld(path: string, image: string, write: boolean): void {
  const holder = conflictingHolder(path, write);
  if (holder === undefined) return;
  const who = holderName(holder);
  throw new PlatterError(
    'storage.held',
    write
      ? `"${image}" is open in another process (${who}): writing to it now would damage it`
      : `"${image}" is being written to by another process (${who}): what is read now may be half of a change`,
    {
      image,
      value: who,
      hint: write
        ? 'Close it there first, or work on a copy or an overlay.'
        : 'Close it there first, or say --force-share (-U) and take what is read with care.',
    },
  );
}

/** `qemu-system-x86 (pid 4711)`. */
export function holderName(holder: ImageHolder): string {
  if (holder.pid === undefined) return "a process that is not this user's";
  return `${holder.command ?? 'a process'}, pid ${holder.pid}`;
}

function readRows(path: string): LockRow[] {
  return readFileSync(path, 'ascii').split('\n').flatMap(parseRow).filter(isQemus);
}

function parseRow(line: string): LockRow[] {
  const match = ROW.exec(line);
  if (match === null) return [];
  const end = match[4] === 'EOF' ? Number.POSITIVE_INFINITY : Number(match[4]);
  return [{ device: match[1], inode: Number(match[2]), start: Number(match[3]), end }];
}

/** Within the bytes that QEMU uses, and not a lock of the whole file, which others take. */
function isQemus({ start, end }: LockRow): boolean {
  return start >= USED && end <= DENIED + 3;
}

function covers(rows: readonly LockRow[], base: number): boolean {
  return WRITE.some((bit) => rows.some(({ start, end }) => start <= base + bit && end >= base + bit));
}

function holder(rows: readonly LockRow[], pid?: number, command?: string): ImageHolder {
  return { pid, command, writes: covers(rows, USED), keepsWritersOut: covers(rows, DENIED) };
}

/** A device number as `/proc/locks` writes it (Linux, new_encode_dev). */
function deviceName(dev: number): string {
  const major = (dev >>> 8) & 0xfff;
  const minor = (dev & 0xff) | ((dev >>> 12) & 0xfff00);
  return [major, minor].map((part) => part.toString(16).padStart(2, '0')).join(':');
}

/** Every visible process with a locked descriptor of this file. */
function processesWith(dev: number, ino: number): ImageHolder[] {
  const found: ImageHolder[] = [];
  for (const entry of readdirSync('/proc')) {
    const pid = Number(entry);
    if (!Number.isInteger(pid)) continue;
    const rows = quietly(() => locksOf(pid, dev, ino)) ?? [];
    if (rows.length > 0) found.push(holder(rows, pid, commandOf(pid)));
  }
  return found;
}

function locksOf(pid: number, dev: number, ino: number): LockRow[] {
  const folder = `/proc/${pid}/fd`;
  return readdirSync(folder).flatMap((fd) => {
    const stat = quietly(() => statSync(`${folder}/${fd}`));
    if (stat === undefined || stat.ino !== ino || stat.dev !== dev) return [];
    return quietly(() => readRows(`/proc/${pid}/fdinfo/${fd}`)) ?? [];
  });
}

function commandOf(pid: number): string | undefined {
  return quietly(() => readFileSync(`/proc/${pid}/comm`, 'utf8').trim());
}

/** Processes and descriptors go away while one looks. */
function quietly<T>(look: () => T): T | undefined {
  try {
    return look();
  } catch {
    return undefined;
  }
}
