/** The header of a cloop image, version 2 (cloop `compressed_loop.h`; QEMU `block/cloop.c`). Big-endian, after 128 bytes of shell script. */
import { wait, type Steps } from '../../../maybe.ts';
import type { HeaderField } from '../../format.ts';
import type { Storage } from '../../storage/storage.ts';
import { checkFields } from '../shared/check-fields.ts';
import { layout, text, u32, type Values } from '../shared/layout.ts';
import { readExactly, requireInside } from '../shared/storage-window.ts';

export const CLOOP_SCRIPT =
  '#!/bin/sh\n#V2.0 Format\nmodprobe cloop file=$0 && mount -r -t iso9660 /dev/cloop $1\n';
export const MAX_BLOCK = 64 << 20;
/** Entries of an offset table of 512 MiB, QEMU's bound. */
const MAX_BLOCKS = (512 << 20) / 8 - 1;

export const cloopHeader = layout('big', { script: text(128), block_size: u32, n_blocks: u32 });

export type CloopHeader = Values<(typeof cloopHeader)['fields']>;

/** Throws `cloop.bad-field`, `cloop.truncated`. */
export function* readCloopHeader(storage: Storage): Steps<CloopHeader> {
  const image = storage.name;
  const header = cloopHeader.parse(
    yield* readExactly(storage, 0, cloopHeader.size, 'cloop', 'header'),
    image,
  );
  const check = checkFields('cloop', image, (field) => cloopHeader.find(field));
  const { block_size: block, n_blocks: count } = header;
  check.field(
    'block_size',
    block,
    block > 0 && block % 512 === 0 && block <= MAX_BLOCK,
    `a multiple of 512 up to ${MAX_BLOCK}`,
  );
  check.field('n_blocks', count, count <= MAX_BLOCKS, `at most ${MAX_BLOCKS}`);
  const size = yield* wait(storage.size());
  requireInside(image, size, cloopHeader.size, (count + 1) * 8, 'cloop', 'offset table');
  return header;
}

export function describeCloopHeader(header: CloopHeader): HeaderField[] {
  return cloopHeader.describe({ ...header, script: header.script.split('\n')[0] }, 0);
}
