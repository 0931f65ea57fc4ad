/**
 * The fuzzer of qcow2-fuzz.test.ts for the other formats that are written: damaged fields of headers and tables, checksums put right
 * so that the damage is not refused at the door. More on demand: `PLATTER_FUZZ_CASES=1000000 PLATTER_FUZZ_SEED=7`.
 */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { crc32c } from '#engine/bytes/checksum.ts';
import { qemuImg, testFolder } from '#engine/block/testing/qemu.ts';
import { vhdChecksum } from '#engine/block/formats/vpc/header.ts';
import { exercise, repairIt } from './exercise.ts';
import { mutate, randomNumbers, type Field } from './mutate.ts';

const at = testFolder();
const CASES = Number(process.env.PLATTER_FUZZ_CASES ?? 420);
const SEED = Number(process.env.PLATTER_FUZZ_SEED ?? 1);
const KIB = 1024;
const MIB = KIB * KIB;

interface Target {
  format: string;
  options: string;
  size: string;
  littleEndian: boolean;
  /** Where fields lie: offset, bytes, width of each. */
  areas: [offset: number, length: number, width: 1 | 2 | 4 | 8][];
  /** Makes checksums true again. */
  mend?: (bytes: Uint8Array) => void;
}

function mendVhd(bytes: Uint8Array): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (const [start, length, sum] of [
    [0, 512, 64],
    [512, 1024, 36],
  ]) {
    if (start + length > bytes.length) continue;
    view.setUint32(start + sum, vhdChecksum(bytes.subarray(start, start + length), sum));
  }
}

/** Both headers and both region tables carry a CRC-32C of themselves, its own field taken as zero. */
function mendVhdx(bytes: Uint8Array): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (const [start, length] of [
    [64 * KIB, 4 * KIB],
    [128 * KIB, 4 * KIB],
    [192 * KIB, 64 * KIB],
    [256 * KIB, 64 * KIB],
  ]) {
    if (start + length > bytes.length) continue;
    view.setUint32(start + 4, 0, true);
    view.setUint32(start + 4, crc32c(bytes.subarray(start, start + length)), true);
  }
}

const TARGETS: Target[] = [
  {
    format: 'vdi',
    options: 'static=off',
    size: '5M',
    littleEndian: true,
    areas: [
      [64, 16, 4],
      [340, 64, 4],
      [512, 20, 4],
    ],
  },
  {
    format: 'vpc',
    options: 'subformat=dynamic',
    size: '5M',
    littleEndian: false,
    areas: [
      [8, 64, 4],
      [40, 16, 8],
      [520, 40, 4],
      [1536, 16, 4],
    ],
    mend: mendVhd,
  },
  {
    format: 'vhdx',
    options: 'block_size=1M,log_size=1M',
    size: '3M',
    littleEndian: true,
    areas: [
      [64 * KIB, 80, 4],
      [128 * KIB, 80, 4],
      [192 * KIB, 80, 4],
      [192 * KIB + 16, 64, 8],
      [2 * MIB, 200, 4],
      [2 * MIB + 64 * KIB, 48, 4],
      [3 * MIB, 40, 8],
    ],
    mend: mendVhdx,
  },
  {
    format: 'vmdk',
    options: 'subformat=monolithicSparse',
    size: '5M',
    littleEndian: true,
    areas: [
      [4, 76, 4],
      [12, 64, 8],
      [512, 400, 1],
      [21 * 512, 64, 4],
      [26 * 512, 64, 4],
    ],
  },
  {
    format: 'qed',
    options: 'cluster_size=4k,table_size=2',
    size: '5M',
    littleEndian: true,
    areas: [
      [4, 60, 4],
      [16, 48, 8],
      [4096, 24, 8],
      [12288, 160, 8],
      [20480, 80, 8],
    ],
  },
  {
    format: 'parallels',
    options: 'cluster_size=64k',
    size: '5M',
    littleEndian: true,
    areas: [
      [16, 48, 4],
      [36, 24, 8],
      [64, 320, 4],
    ],
  },
];

describe.each(TARGETS)('$format', ({ format, options, size, littleEndian, areas, mend }) => {
  it('never hangs, never crashes, always says what is wrong', { timeout: 60_000 + CASES * 50 }, async () => {
    const path = at(`seed.${format}`);
    qemuImg('create', '-q', '-f', format, '-o', options, path, size);
    execFileSync('qemu-io', ['-f', format, '-c', 'write -P 1 0 80k', '-c', 'write -P 2 2M 4k', path]);
    const made = new Uint8Array(readFileSync(path));
    expect(await exercise(made.slice(), format, false)).toBe('opened');
    const fields: Field[] = areas.flatMap(([offset, length, width]) =>
      Array.from({ length: length / width }, (_, index) => ({ offset: offset + index * width, width })),
    );
    const outcomes = { refused: 0, opened: 0, 'failed later': 0 };
    for (let index = 0; index < CASES / TARGETS.length; index++) {
      const seed = SEED * 1_000_003 + index;
      const random = randomNumbers(seed);
      const damaged = mutate(made.slice(), fields, random, littleEndian);
      if (random(8) !== 0) mend?.(damaged);
      const choice = random(5);
      try {
        outcomes[await (choice === 0 ? repairIt(damaged, format) : exercise(damaged, format, choice < 4))]++;
      } catch (error) {
        throw new Error(`case ${seed} of ${format}`, { cause: error });
      }
    }
    expect(outcomes.refused).toBeGreaterThan(0);
    expect(outcomes.opened + outcomes['failed later']).toBeGreaterThan(0);
  });
});
