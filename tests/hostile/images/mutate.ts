/** Structure-aware damage: fields of headers and table entries get values that are wrong in interesting ways. */

/** A reproducible stream of numbers (mulberry32). */
export function randomNumbers(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let value = Math.imul(state ^ (state >>> 15), state | 1);
    value ^= value + Math.imul(value ^ (value >>> 7), value | 61);
    return Math.floor((((value ^ (value >>> 14)) >>> 0) / 2 ** 32) * below);
  };
}

/** Where a mutation may strike: byte offset and width (1, 2, 4 or 8). */
export interface Field {
  offset: number;
  width: number;
}

const INTERESTING = [
  0n,
  1n,
  2n,
  7n,
  9n,
  0x1ffn,
  0x200n,
  0x201n,
  0xffffn,
  0x1_0000n,
  0x7fff_ffffn,
  0x8000_0000n,
  0xffff_ffffn,
  0x1_0000_0000n,
  0x1f_ffff_ffff_ffffn,
  0x20_0000_0000_0000n,
  0x00ff_ffff_ffff_fe00n,
  0x7fff_ffff_ffff_ffffn,
  0x8000_0000_0000_0000n,
  0x8000_0000_0005_0000n,
  0x4000_0000_0005_0000n,
  0xffff_ffff_ffff_ffffn,
];

/** One to four damaged fields, now and then a cut or a few flipped bits; `bytes` is changed in place, the result may be shorter. */
export function mutate(
  bytes: Uint8Array<ArrayBuffer>,
  fields: readonly Field[],
  random: (below: number) => number,
  littleEndian = false,
): Uint8Array<ArrayBuffer> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const count = 1 + random(4);
  for (let index = 0; index < count; index++) {
    const field = fields[random(fields.length)];
    if (field.offset + field.width > bytes.length) continue;
    const old = read(view, field, littleEndian);
    const choice = random(5);
    let value = old;
    if (choice < 2) value = INTERESTING[random(INTERESTING.length)];
    else if (choice === 2) value = old + BigInt(random(5) - 2);
    else if (choice === 3) value = old ^ (1n << BigInt(random(field.width * 8)));
    else value = old << BigInt(random(20));
    write(view, field, BigInt.asUintN(field.width * 8, value), littleEndian);
  }
  if (random(20) === 0) {
    for (let flips = random(10); flips >= 0; flips--) bytes[random(bytes.length)] ^= 1 << random(8);
  }
  return random(20) === 0 ? bytes.subarray(0, random(bytes.length)) : bytes;
}

function read(view: DataView, { offset, width }: Field, littleEndian: boolean): bigint {
  if (width === 8) return view.getBigUint64(offset, littleEndian);
  if (width === 4) return BigInt(view.getUint32(offset, littleEndian));
  return width === 2 ? BigInt(view.getUint16(offset, littleEndian)) : BigInt(view.getUint8(offset));
}

function write(view: DataView, { offset, width }: Field, value: bigint, littleEndian: boolean): void {
  if (width === 8) view.setBigUint64(offset, value, littleEndian);
  else if (width === 4) view.setUint32(offset, Number(value), littleEndian);
  else if (width === 2) view.setUint16(offset, Number(value), littleEndian);
  else view.setUint8(offset, Number(value));
}
