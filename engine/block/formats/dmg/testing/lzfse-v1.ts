/** Writes the packed tables of an LZFSE block plainly, as the older kind of block has them. */
import { lzfseHeader } from '../../../compression/lzfse-header.ts';

/** A stream whose first block is `bvx2`, with `bvx1` instead. */
export function plainTables(stream: Uint8Array): Uint8Array {
  const header = lzfseHeader(stream, 0, true);
  const bytes = new Uint8Array(772);
  const view = new DataView(bytes.buffer);
  bytes.set(Buffer.from('bvx1'));
  const words = [
    header.rawBytes,
    header.literalBytes + header.lmdBytes,
    header.literals,
    header.matches,
    header.literalBytes,
    header.lmdBytes,
  ];
  words.forEach((word, i) => view.setUint32(4 + 4 * i, word, true));
  view.setInt32(28, -header.literalSpare, true);
  header.literalStates.forEach((state, i) => view.setUint16(32 + 2 * i, state, true));
  view.setInt32(40, -header.lmdSpare, true);
  [header.lState, header.mState, header.dState].forEach((state, i) =>
    view.setUint16(44 + 2 * i, state, true),
  );
  header.frequencies.forEach((frequency, i) => view.setUint16(50 + 2 * i, frequency, true));
  return Buffer.concat([bytes, stream.subarray(header.headerBytes)]);
}
