/**
 * A structure-aware fuzzer for qcow2: thousands of damaged headers, extensions and tables in each run, more on demand:
 * `PLATTER_FUZZ_CASES=1000000 PLATTER_FUZZ_SEED=7 npx vitest run tests/hostile/images`.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { noise } from '#engine/block/testing/bytes.ts';
import { qemuImg, qemuIo, testFolder } from '#engine/block/testing/qemu.ts';
import { exercise, repairIt } from './exercise.ts';
import { mutate, randomNumbers, type Field } from './mutate.ts';

const at = testFolder();
const CASES = Number(process.env.PLATTER_FUZZ_CASES ?? 1200);
const SEED = Number(process.env.PLATTER_FUZZ_SEED ?? 1);

/** Every field of the header, the first records of the extensions, and entries of every table that the header points to. */
function fieldsOf(bytes: Uint8Array): Field[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const header: Field[] = [];
  const add = (offset: number, ...widths: number[]): void => {
    let place = offset;
    for (const width of widths) {
      header.push({ offset: place, width });
      place += width;
    }
  };
  add(4, 4, 8, 4, 4, 8, 4, 4, 8, 8, 4, 4, 8, 8, 8, 8, 4, 4, 1);
  add(112, 4, 4, 8, 8, 8);
  const tables: Field[] = [];
  const table = (offset: number, entries: number): void => {
    for (let index = 0; index < entries; index++) tables.push({ offset: offset + index * 8, width: 8 });
  };
  const pointer = (offset: number): number => Number(view.getBigUint64(offset) & 0x00ff_ffff_ffff_fe00n);
  const l1 = pointer(40);
  table(l1, 4);
  for (let index = 0; index < 2; index++) {
    const l2 = l1 + index * 8 + 8 <= bytes.length ? pointer(l1 + index * 8) : 0;
    if (l2 > 0 && l2 < bytes.length) table(l2, 24);
  }
  const refcounts = pointer(48);
  table(refcounts, 3);
  table(pointer(refcounts), 8);
  const snapshots = Number(view.getBigUint64(64));
  if (snapshots > 0 && view.getUint32(60) > 0) {
    const place = header.length;
    header.push({ offset: snapshots, width: 8 });
    for (const offset of [8, 16, 32, 36]) header.push({ offset: snapshots + offset, width: 4 });
    for (const offset of [12, 14]) header.push({ offset: snapshots + offset, width: 2 });
    expect(header.length).toBe(place + 7);
  }
  return [...header, ...header, ...tables];
}

const SEEDS: [string, (path: string) => void][] = [
  [
    'plain, small clusters',
    (path) => {
      qemuImg('create', '-q', '-f', 'qcow2', '-o', 'cluster_size=512', path, '300k');
      qemuIo(path, 'write -P 1 0 30k', 'write -z 64k 8k', 'write -P 2 280k 8k');
    },
  ],
  [
    'snapshots and wide counts',
    (path) => {
      qemuImg('create', '-q', '-f', 'qcow2', '-o', 'cluster_size=1k,refcount_bits=32', path, '300k');
      qemuIo(path, 'write -P 1 0 30k');
      qemuImg('snapshot', '-c', 'one', path);
      qemuIo(path, 'write -P 2 4k 8k');
    },
  ],
  [
    'subclusters over a backing file',
    (path) => {
      const options = 'cluster_size=16k,extended_l2=on';
      writeFileSync(at('base.raw'), noise(300 << 10, 1));
      qemuImg('create', '-q', '-f', 'qcow2', '-o', options, '-b', 'base.raw', '-F', 'raw', path);
      qemuIo(path, 'write -P 1 0 50k', 'write -z 64k 32k', 'write -P 2 200k 3k');
    },
  ],
  [
    'compressed with zlib',
    (path) => {
      writeFileSync(
        at('source.raw'),
        noise(100_000, 1).map((byte) => byte & 7),
      );
      qemuImg('convert', '-c', '-f', 'raw', '-O', 'qcow2', '-o', 'cluster_size=4k', at('source.raw'), path);
    },
  ],
  [
    'compressed with zstd',
    (path) => {
      writeFileSync(
        at('source.raw'),
        noise(100_000, 1).map((byte) => byte & 7),
      );
      const options = 'cluster_size=4k,compression_type=zstd';
      qemuImg('convert', '-c', '-f', 'raw', '-O', 'qcow2', '-o', options, at('source.raw'), path);
    },
  ],
];

describe.each(SEEDS)('%s', (name, make) => {
  it('never hangs, never crashes, always says what is wrong', { timeout: 60_000 + CASES * 50 }, async () => {
    make(at('seed.qcow2'));
    const sound = new Uint8Array(readFileSync(at('seed.qcow2')));
    expect(await exercise(sound, 'qcow2', false)).toBe(name.includes('backing') ? 'failed later' : 'opened');
    const fields = fieldsOf(sound);
    const outcomes = { refused: 0, opened: 0, 'failed later': 0 };
    for (let index = 0; index < CASES / SEEDS.length; index++) {
      const seed = SEED * 1_000_003 + index;
      const random = randomNumbers(seed);
      const damaged = mutate(sound.slice(), fields, random);
      try {
        const choice = random(5);
        const outcome = choice === 0 ? repairIt(damaged, 'qcow2') : exercise(damaged, 'qcow2', choice < 3);
        outcomes[await outcome]++;
      } catch (error) {
        throw new Error(`case ${seed} of "${name}"`, { cause: error });
      }
    }
    // A fuzzer that only ever hears "no" or "yes" tests nothing.
    expect(outcomes.refused).toBeGreaterThan(0);
    expect(outcomes.opened + outcomes['failed later']).toBeGreaterThan(0);
  });
});
