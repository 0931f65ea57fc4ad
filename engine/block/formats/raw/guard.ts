/**
 * The guard of guessed raw images: a guest that writes another format's magic into sector 0 would have its disk opened as that
 * format next time, with a backing file of its choice (CVE-2024-40767; QEMU's raw driver refuses the same write).
 */
import { PlatterError } from '../../../errors.ts';
import { run, wait, type Maybe, type Steps } from '../../../maybe.ts';
import type { OpenContext } from '../../format.ts';
import type { Storage } from '../../storage/storage.ts';

export const SECTOR = 512;

/** Throws `raw.guarded-sector` when `source` at `offset` would make sector 0 look like another format. */
export function guardFirstSector(
  storage: Storage,
  size: number,
  offset: number,
  source: Uint8Array,
  context: Pick<OpenContext, 'looksLike'>,
): Maybe<void> {
  return run(guard(storage, size, offset, source, context));
}

function* guard(
  storage: Storage,
  size: number,
  offset: number,
  source: Uint8Array,
  context: Pick<OpenContext, 'looksLike'>,
): Steps<void> {
  const sector = new Uint8Array(Math.min(SECTOR, size));
  yield* wait(storage.read(0, sector));
  sector.set(source.subarray(0, sector.length - offset), offset);
  const looksLike = context.looksLike(sector, size);
  if (looksLike === 'raw') return;
  throw new PlatterError(
    'raw.guarded-sector',
    `This write would make "${storage.name}" look like a ${looksLike} image; its raw format was only guessed`,
    {
      image: storage.name,
      offset,
      value: looksLike,
      option: 'format',
      hint: 'Say format=raw to lift this guard.',
    },
  );
}
