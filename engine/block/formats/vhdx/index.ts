/** VHDX, Hyper-V's format. */
import { run, wait, type Steps } from '../../../maybe.ts';
import type { FormatDescriptor, FormatDriver, OpenContext } from '../../format.ts';
import type { Storage } from '../../storage/storage.ts';
import { latin1, NIL_UUID } from '../shared/layout.ts';
import { VhdxBlocks } from './blocks.ts';
import { createVhdx } from './create.ts';
import { VhdxDifferencingDriver } from './differencing.ts';
import { VhdxDriver, type VhdxParts } from './driver.ts';
import { readHeaders, readRegions, updateHeaders, VHDX_SIGNATURE, type VhdxHeaderSection } from './header.ts';
import { readLog } from './log.ts';
import { HAS_PARENT, readMetadata } from './metadata.ts';
import { openParent } from './parent.ts';
import { ReplayedStorage } from './replayed-storage.ts';

export const vhdx: FormatDescriptor = {
  name: 'vhdx',
  probe: (head) => (latin1(head.subarray(0, 8)) === VHDX_SIGNATURE ? 100 : 0),
  open: (storage, context) => run(open(storage, context)),
  create: createVhdx,
};

function* open(file: Storage, context: OpenContext): Steps<FormatDriver> {
  const section = yield* readHeaders(file);
  const replayedIntoFile = section.header.log_guid !== NIL_UUID && !context.readOnly;
  const storage = yield* replay(file, section, context.readOnly);
  const regions = yield* readRegions(storage, section.header);
  const metadata = yield* readMetadata(storage, regions.metadata);
  const size = yield* wait(storage.size());
  const blocks = new VhdxBlocks(storage, size, section.header, regions, metadata);
  const parts: VhdxParts = {
    section,
    regions,
    metadata,
    blocks,
    replayed: storage !== file,
    replayedIntoFile,
  };
  if ((metadata.flags & HAS_PARENT) === 0) return new VhdxDriver(storage, parts, context.readOnly);
  return new VhdxDifferencingDriver(storage, parts, yield* openParent(metadata.parentLocator, context));
}

/** The log's changes: made in the file when it may be written, otherwise only in memory (QEMU refuses to open then). */
function* replay(file: Storage, section: VhdxHeaderSection, readOnly: boolean): Steps<Storage> {
  const { header } = section;
  if (header.log_guid === NIL_UUID) return file;
  const size = yield* wait(file.size());
  const log = yield* readLog(file, header, size);
  if (readOnly) return new ReplayedStorage(file, size, log);
  if (log.fileSize > size) yield* wait(file.truncate(log.fileSize));
  for (const change of log.changes) {
    if (change.data === undefined) yield* wait(file.writeZeroes(change.offset, change.length));
    else yield* wait(file.write(change.offset, change.data));
  }
  yield* wait(file.flush());
  yield* updateHeaders(file, section, {
    log_guid: NIL_UUID,
    file_write_guid: globalThis.crypto.randomUUID(),
  });
  return file;
}
