/** Every format that Platter knows, and how to find out which one a file has. */
import { PlatterError } from '../../errors.ts';
import { run, wait, type Maybe, type Steps } from '../../maybe.ts';
import type { FormatDescriptor } from '../format.ts';
import type { Storage } from '../storage/storage.ts';
import { qcow2 } from './qcow2/driver.ts';
import { raw } from './raw/driver.ts';
import { bochs } from './bochs/index.ts';
import { cloop } from './cloop/index.ts';
import { dmg } from './dmg/index.ts';
import { luks } from './luks/index.ts';
import { parallels } from './parallels/index.ts';
import { qcow } from './qcow/index.ts';
import { qed } from './qed/index.ts';
import { vdi } from './vdi/index.ts';
import { vhdx } from './vhdx/index.ts';
import { vmdk } from './vmdk/index.ts';
import { vpc } from './vpc/index.ts';

/** In QEMU's order of trust: of two formats with the same score the earlier one wins. */
export const FORMATS: readonly FormatDescriptor[] = [
  qcow2,
  raw,
  vdi,
  vpc,
  vhdx,
  vmdk,
  qed,
  parallels,
  qcow,
  bochs,
  cloop,
  dmg,
  luks,
];

/** Bytes of the file's start and end that probes see. */
const HEAD = 2048;
const TAIL = 512;

/** QEMU's drivers of the bytes of a file themselves; where a format is asked for they are as good as raw. */
export const FILE_DRIVERS: readonly string[] = ['file', 'host_device', 'host_cdrom'];

/** Throws `block.unknown-format`. */
export function formatByName(name: string): FormatDescriptor {
  if (FILE_DRIVERS.includes(name)) return raw;
  const found = FORMATS.find((format) => format.name === name);
  if (found !== undefined) return found;
  const known = FORMATS.map((format) => format.name).join(', ');
  throw new PlatterError('block.unknown-format', `There is no image format "${name}"`, {
    option: 'format',
    value: name,
    expected: known,
  });
}

/** The format with the highest score; raw when no other is sure. Throws `block.empty-file` for a file of 0 bytes. */
export function probeFormat(storage: Storage): Maybe<FormatDescriptor> {
  return run(probeSteps(storage));
}

function* probeSteps(storage: Storage): Steps<FormatDescriptor> {
  const size = yield* wait(storage.size());
  if (size === 0) {
    throw new PlatterError('block.empty-file', `"${storage.name}" is empty: there is no image in it`, {
      image: storage.name,
      offset: 0,
      hint: 'Say format=raw if a disk of no bytes is meant.',
    });
  }
  const head = new Uint8Array(Math.min(HEAD, size));
  yield* wait(storage.read(0, head));
  const tail = new Uint8Array(Math.min(TAIL, size));
  yield* wait(storage.read(size - tail.length, tail));
  return bestFormat(head, size, storage.name, tail);
}

/** The probes' verdict on these bytes. */
export function bestFormat(head: Uint8Array, size: number, name: string, tail: Uint8Array): FormatDescriptor {
  let best: FormatDescriptor = raw;
  let score = 0;
  for (const format of FORMATS) {
    const sure = format.probe(head, size, name, tail);
    if (sure > score) {
      best = format;
      score = sure;
    }
  }
  return best;
}
