/** Makes UDIF images out of chunks. */
import { KOLY, kolyTrailer, mishChunk, mishHeader } from '../header.ts';

/** A stretch of the disk. */
export interface Piece {
  type: number;
  /** Packed. */
  bytes: Uint8Array;
  /** Bytes on the disk. */
  length: number;
}

export interface Made {
  image: Uint8Array;
  /** Byte offset of the list of chunks. */
  listAt: number;
}

/** A UDIF image of these pieces, in a property list or, as older writers had it, in a resource fork. */
export function udif(pieces: Piece[], asResource = false): Made {
  const dataBytes = pieces.reduce((sum, piece) => sum + piece.bytes.length, 0);
  const sectors = pieces.reduce((sum, piece) => sum + piece.length / 512, 0);
  const mish = new Uint8Array(mishHeader.size + (pieces.length + 1) * mishChunk.size);
  mish.set(
    mishHeader.encode({
      signature: 'mish',
      version: 1,
      sector_number: 0,
      sector_count: sectors,
      data_offset: 0,
      buffers_needed: 520,
      block_descriptors: 0,
      reserved: new Uint8Array(24),
      checksum: new Uint8Array(136),
      chunk_count: pieces.length + 1,
    }),
  );
  const image = new Uint8Array(dataBytes + 65536);
  let offset = 0;
  let sector = 0;
  const entry = (index: number, type: number, count: number, length: number): void => {
    const values = { type, comment: 0, sector_number: sector, sector_count: count, offset, length };
    mish.set(mishChunk.encode(values), mishHeader.size + index * mishChunk.size);
  };
  pieces.forEach((piece, index) => {
    entry(index, piece.type, piece.length / 512, piece.bytes.length);
    image.set(piece.bytes, offset);
    offset += piece.bytes.length;
    sector += piece.length / 512;
  });
  entry(pieces.length, 0xffffffff, 0, 0);
  const list = asResource ? resourceFork(mish) : propertyList(mish);
  image.set(list, offset);
  const at = offset + list.length;
  const trailer = {
    signature: KOLY,
    version: 4,
    header_size: 512,
    flags: 1,
    running_data_fork_offset: 0,
    data_fork_offset: 0,
    data_fork_length: offset,
    rsrc_fork_offset: asResource ? offset : 0,
    rsrc_fork_length: asResource ? list.length : 0,
    segment_number: 1,
    segment_count: 1,
    segment_id: new Uint8Array(16),
    data_checksum: new Uint8Array(136),
    xml_offset: asResource ? 0 : offset,
    xml_length: asResource ? 0 : list.length,
    reserved: new Uint8Array(120),
    master_checksum: new Uint8Array(136),
    image_variant: 1,
    sector_count: sectors,
  };
  image.set(kolyTrailer.encode(trailer), at);
  return { image: image.slice(0, at + 512), listAt: offset };
}

function propertyList(mish: Uint8Array): Uint8Array {
  const data = Buffer.from(mish)
    .toString('base64')
    .replace(/(.{60})/g, '$1\n\t\t');
  return new TextEncoder().encode(
    `<?xml version="1.0" encoding="UTF-8"?><plist version="1.0"><dict><key>resource-fork</key><dict><key>blkx</key><array><dict><key>Attributes</key><string>0x0050</string><key>Data</key><data>\n\t\t${data}\n</data></dict></array><key>plst</key><array><dict><key>Data</key><data>AAAA</data></dict></array></dict></dict></plist>`,
  );
}

function resourceFork(mish: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(256 + 4 + mish.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, 256);
  view.setUint32(8, 4 + mish.length);
  view.setUint32(256, mish.length);
  bytes.set(mish, 260);
  return bytes;
}
