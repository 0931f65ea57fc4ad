/** Samples of formats that QEMU only reads. */
import { writeFileSync } from 'node:fs';
import { deflateSync } from 'node:zlib';
import { CLOOP_SCRIPT, cloopHeader } from '../../formats/cloop/header.ts';
import { kolyTrailer, mishChunk, mishHeader, PLAIN, ZERO_FILL, ZLIB } from '../../formats/dmg/header.ts';
import { bochsImage } from '../../formats/shared/testing/bochs-image.ts';
import type { Scratch } from '../../formats/shared/testing/oracle.ts';
import type { Sample } from './samples.ts';

export function rare(scratch: Scratch): Sample[] {
  const write = (format: string, image: Uint8Array): Sample => {
    const path = scratch.fresh(`sample.${format}`);
    writeFileSync(path, image);
    return { name: format, format, path };
  };
  return [write('bochs', bochsImage(2).image), write('cloop', cloopImage()), write('dmg', dmgImage())];
}

/** Two blocks of 64 KiB. */
function cloopImage(): Uint8Array {
  const size = 65536;
  const blocks = [1, 2].map((byte) => deflateSync(new Uint8Array(size).fill(byte)));
  const table = new DataView(new ArrayBuffer((blocks.length + 1) * 8));
  let at = cloopHeader.size + table.byteLength;
  blocks.forEach((block, index) => {
    table.setBigUint64(index * 8, BigInt(at));
    at += block.length;
  });
  table.setBigUint64(blocks.length * 8, BigInt(at));
  const header = cloopHeader.encode({ script: CLOOP_SCRIPT, block_size: size, n_blocks: blocks.length });
  return Buffer.concat([header, new Uint8Array(table.buffer), ...blocks]);
}

/** 4 KiB plain, 4 KiB of zeroes, 4 KiB deflated. */
function dmgImage(): Uint8Array {
  const plain = new Uint8Array(4096).fill(1);
  const packed = deflateSync(new Uint8Array(4096).fill(2));
  const data = Buffer.concat([plain, packed]);
  const places = [
    { type: PLAIN, offset: 0, length: 4096 },
    { type: ZERO_FILL, offset: 0, length: 0 },
    { type: ZLIB, offset: 4096, length: packed.length },
  ];
  const mish = Buffer.concat([
    mishHeader.encode({
      signature: 'mish',
      version: 1,
      sector_number: 0,
      sector_count: 24,
      data_offset: 0,
      buffers_needed: 8,
      block_descriptors: 0,
      reserved: new Uint8Array(24),
      checksum: new Uint8Array(136),
      chunk_count: places.length,
    }),
    ...places.map((place, index) =>
      mishChunk.encode({ ...place, comment: 0, sector_number: index * 8, sector_count: 8 }),
    ),
  ]);
  const list = Buffer.from(
    `<plist><dict><key>blkx</key><array><dict><data>${mish.toString('base64')}</data></dict></array></dict></plist>`,
  );
  const trailer = kolyTrailer.encode({
    signature: 'koly',
    version: 4,
    header_size: 512,
    flags: 1,
    running_data_fork_offset: 0,
    data_fork_offset: 0,
    data_fork_length: data.length,
    rsrc_fork_offset: 0,
    rsrc_fork_length: 0,
    segment_number: 1,
    segment_count: 1,
    segment_id: new Uint8Array(16),
    data_checksum: new Uint8Array(136),
    xml_offset: data.length,
    xml_length: list.length,
    reserved: new Uint8Array(120),
    master_checksum: new Uint8Array(136),
    image_variant: 1,
    sector_count: 24,
  });
  return Buffer.concat([data, list, trailer], data.length + list.length + 512);
}
