/** Zstandard frames (RFC 8878), bounded: the frame's own claims are checked before anything is unpacked. */
import { StructReader } from '../../bytes/reader.ts';
import { exactly } from './deflate.ts';
import { workers } from './worker-pool.ts';
import { unpackFrame } from './zstd-library.ts';

const FRAME_MAGIC = 0xfd2f_b528;

/**
 * The same as `unzstdCluster`, in another thread where there is one that can. `packed` and `target` as for `inflateClusterLater`: what
 * is handed over is no garbage of this thread, where collecting it took as long as the rest of its work.
 */
export async function unzstdClusterLater(
  packed: Uint8Array<ArrayBuffer>,
  size: number,
  target?: Uint8Array,
): Promise<Uint8Array> {
  const { length, content } = frameSizes(packed, size);
  // More than one frame, and one that does not say its size, are rare: QEMU's frame is a whole cluster.
  if (content !== size || !workers.readyForZstd) return unzstdCluster(packed, size);
  return exactly(await workers.run('unzstd', packed, size, target, length), size);
}

/**
 * Exactly `size` bytes out of the first frames in `packed`; padding after them is ignored. Throws when it is damaged. `prepareZstd` was
 * waited for.
 */
export function unzstdCluster(packed: Uint8Array, size: number): Uint8Array {
  const out = new Uint8Array(size);
  let done = 0;
  for (let at = 0; done < size;) {
    const { length } = frameSizes(packed.subarray(at), size);
    const part = unpackFrame(packed.subarray(at, at + length), size - done);
    if (part.length === 0) throw new Error('an empty zstd frame');
    if (done + part.length > size) throw new Error('more came out than one cluster');
    out.set(part, done);
    done += part.length;
    at += length;
  }
  return out;
}

interface FrameSizes {
  /** Bytes of the frame itself. */
  length: number;
  /** Bytes that come out, where the frame says so. */
  content: number | undefined;
}

/** Of the frame that `bytes` starts with. Throws when it claims a window or content larger than `limit` allows. */
function frameSizes(bytes: Uint8Array, limit: number): FrameSizes {
  const reader = new StructReader(bytes, { structure: 'zstd frame', littleEndian: true });
  if (reader.u32(0, 'magic number') !== FRAME_MAGIC) throw new Error('no zstd frame');
  const descriptor = reader.u8(4, 'frame header descriptor');
  const single = (descriptor & 0x20) !== 0;
  const dictionary = [0, 1, 2, 4][descriptor & 3];
  const sizeField = [single ? 1 : 0, 2, 4, 8][descriptor >> 6];
  let at = 5 + (single ? 0 : 1) + dictionary;
  if (!single) {
    const window = reader.u8(5, 'window descriptor');
    const base = 2 ** (10 + (window >> 3));
    // Compressors round windows up; far above a cluster nothing honest needs one.
    if (base + (base / 8) * (window & 7) > Math.max(limit * 2, 8 << 20))
      throw new Error('the zstd window is too large');
  }
  const content = sizeField > 0 ? contentSize(reader, at, sizeField) : undefined;
  if (content !== undefined && content > limit) throw new Error('more would come out than one cluster');
  at += sizeField;
  for (let last = false; !last;) {
    const block =
      reader.u8(at, 'block') | (reader.u8(at + 1, 'block') << 8) | (reader.u8(at + 2, 'block') << 16);
    last = (block & 1) !== 0;
    // An RLE block holds one byte whatever its size says.
    at += 3 + (((block >> 1) & 3) === 1 ? 1 : block >> 3);
  }
  if ((descriptor & 4) !== 0) at += 4;
  if (at > bytes.length) throw new Error('the zstd frame is cut short');
  return { length: at, content };
}

function contentSize(reader: StructReader, at: number, bytes: number): number {
  if (bytes === 1) return reader.u8(at, 'content size');
  if (bytes === 2) return reader.u16(at, 'content size') + 256;
  return bytes === 4 ? reader.u32(at, 'content size') : reader.u64(at, 'content size');
}
