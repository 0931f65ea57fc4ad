/** `imageInfo`: one image and its chain, as `qemu-img info --output=json` tells it. Reads headers only. */
import type { ImageInfo } from '../../contract/images.ts';
import { toPlainError } from '../errors.ts';
import { run, wait, type Maybe, type Steps } from '../maybe.ts';
import { FormatNode } from './access.ts';

/** Never opens a file: what the gate let through is open already. */
export function imageInfo(node: FormatNode): Maybe<ImageInfo> {
  return run(infoSteps(node));
}

function* infoSteps(node: FormatNode): Steps<ImageInfo> {
  const description = yield* wait(node.format.describe());
  const { storage } = node.format;
  const info: ImageInfo = {
    name: node.name,
    format: node.driver,
    virtualSize: node.virtualSize,
    actualSize: yield* wait(node.format.allocatedSize?.() ?? storage.allocatedSize()),
    fileSize: yield* wait(storage.size()),
    clusterSize: node.clusterSize,
    dirty: description.dirty ?? false,
    readOnly: node.readOnly,
    encrypted: description.encrypted ?? false,
    compressed: description.compressed ?? false,
    backingFilename: description.backingFilename,
    backingFormat: description.backingFormat,
    snapshots: description.snapshots ?? [],
    formatSpecific: description.formatSpecific ?? {},
    header: description.header,
  };
  if (description.locked === true) info.locked = true;
  if (description.bitmaps !== undefined && description.bitmaps.length > 0) info.bitmaps = description.bitmaps;
  if (description.backingError !== undefined) info.backingError = toPlainError(description.backingError);
  if (node.backing instanceof FormatNode) info.backing = yield* infoSteps(node.backing);
  return info;
}
