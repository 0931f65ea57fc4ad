/** Where the guest's data lies in the file of this layer. */
import { run, wait, type Steps } from '../../maybe.ts';
import type { FormatNode } from '../access.ts';
import { compressedPlace } from '../formats/qcow2/entry.ts';
import { Qcow2Driver } from '../formats/qcow2/driver.ts';
import type { JobPace } from '../jobs/job.ts';
import type { OwnerRows } from './owners-rows.ts';
import { readInside } from './table.ts';

export async function collectData(image: FormatNode, rows: OwnerRows, pace: JobPace): Promise<void> {
  const { storage } = image.format;
  const total = image.virtualSize;
  for (let at = 0; at < total;) {
    if (rows.full) {
      rows.cut = true;
      return;
    }
    const there = image.map(at, total - at);
    const extent = there instanceof Promise ? await there : there;
    const { hostOffset, kind, length } = extent;
    if (extent.storage === storage && hostOffset !== undefined && hostOffset >= 0) {
      if (kind === 'special' && extent.compressed === true) {
        const packed = await run(packedLength(image, at, hostOffset));
        rows.addData('compressed', hostOffset, packed, at);
      } else {
        rows.addData('data', hostOffset, length, at);
      }
    }
    at += length;
    await pace.step(at, total);
  }
}

/** Bytes in the file of the compressed cluster or grain at `guest`. */
function* packedLength(image: FormatNode, guest: number, host: number): Steps<number> {
  const { format } = image;
  if (format instanceof Qcow2Driver) {
    const { state } = format;
    const table = state.l2Offset(Math.floor(guest / state.l2Coverage));
    const slice = yield* wait(state.mapping.get(state.sliceOffset(table, guest)));
    const at = state.entryInSlice(guest);
    const place = compressedPlace(
      slice.view.getUint32(at),
      slice.view.getUint32(at + 4),
      state.header.clusterBits,
    );
    return place.length;
  }
  // A grain of a VMDK stream begins with its first sector and its length.
  const marker = yield* readInside(format.storage, host, 12);
  if (marker.length < 12) return 0;
  const view = new DataView(marker.buffer);
  return Number(view.getBigUint64(0, true)) === guest / 512 ? 12 + view.getUint32(8, true) : 512;
}
