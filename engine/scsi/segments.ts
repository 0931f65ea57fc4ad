/** Moving bytes between one contiguous buffer and a list of segments. */

/** The segments' total length in bytes. */
export function segmentsLength(segments: readonly Uint8Array[]): number {
  let total = 0;
  for (const segment of segments) {
    total += segment.length;
  }
  return total;
}

/** Copies `source` into the segments in order. @returns the bytes that fitted. */
export function scatter(source: Uint8Array, segments: readonly Uint8Array[]): number {
  let done = 0;
  for (const segment of segments) {
    if (done === source.length) {
      break;
    }
    const length = Math.min(segment.length, source.length - done);
    segment.set(source.subarray(done, done + length));
    done += length;
  }
  return done;
}

/** The first `length` bytes of the segments as one fresh buffer; shorter where they hold less. */
export function gather(segments: readonly Uint8Array[], length: number): Uint8Array {
  const target = new Uint8Array(Math.min(length, segmentsLength(segments)));
  let done = 0;
  for (const segment of segments) {
    if (done === target.length) {
      break;
    }
    const piece = segment.subarray(0, target.length - done);
    target.set(piece, done);
    done += piece.length;
  }
  return target;
}

/** The first `length` bytes of the segments, as segments. */
export function clip(segments: readonly Uint8Array[], length: number): Uint8Array[] {
  const clipped: Uint8Array[] = [];
  let left = length;
  for (const segment of segments) {
    if (left === 0) {
      break;
    }
    const piece = segment.subarray(0, left);
    if (piece.length > 0) {
      clipped.push(piece);
    }
    left -= piece.length;
  }
  return clipped;
}
