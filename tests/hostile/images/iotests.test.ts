/**
 * The damage that QEMU's own numbered tests do to headers and tables (its `tests/qemu-iotests`: 059 vmdk, 075 cloop, 076 parallels,
 * 078 bochs, 080 qcow2, 084 vdi, 088 vpc, 092 qcow, 116 qed): whatever QEMU refuses to open or to read, so do we, with a reason.
 */
import { spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { openImage } from '#engine/block/graph.ts';
import { qemuImg, qemuIo, testFolder } from '#engine/block/testing/qemu.ts';
import { PlatterError } from '#engine/errors.ts';
import { samplesDir, samplesMissing } from '../../../scripts/lib/samples.mjs';

const missing = samplesMissing();
if (missing !== undefined)
  console.log(`cloop and bochs are not damaged here, QEMU's sample images are missing: ${missing}`);

const at = testFolder();
const KIB = 1024;
const MIB = KIB * KIB;

type Poke = [offset: number, hex: string];

interface Damage {
  what: string;
  pokes: Poke[];
  /** The file ends here. */
  cut?: number;
  /** Where 512 bytes are read; default 0. */
  read?: number;
  /** Where we answer otherwise than QEMU, and mean to. */
  ours?: Verdict;
}

type Verdict = 'refused' | 'unreadable' | 'read';

interface Target {
  format: string;
  /** Made by qemu-img with this size, or a sample image of QEMU's. */
  size?: string;
  sample?: string;
  prepare?: (path: string) => void;
  damages: Damage[];
}

const one = (what: string, ...pokes: Poke[]): Damage => ({ what, pokes });

const TARGETS: Target[] = [
  {
    format: 'vmdk',
    size: '64M',
    damages: [
      one('granularity', [20, 'ffffffffffffffff']),
      one('L2 table size', [44, 'ffffffff']),
      one('L1 table size', [16, 'ffffffff'], [44, '01000000']),
      { ...one('cut in its tables'), cut: 70 * KIB },
    ],
  },
  {
    format: 'cloop',
    sample: 'simple-pattern.cloop',
    damages: [
      one('sound'),
      { ...one('sound, the last sector'), read: MIB - 512 },
      one('block size no multiple of 512', [128, '00000201']),
      one('block size 0', [128, '00000000']),
      one('block size huge', [128, 'fffffe00']),
      one('number of blocks overflows', [132, 'ffffffff']),
      one('too many blocks', [132, '04000001']),
      // Tables are read a page at a time, when they are needed.
      {
        ...one('offsets that go back', [136, '00000000ffffffff'], [144, '00000000fffe0000']),
        ours: 'unreadable',
      },
      {
        ...one('packed size of a block', [136, '0000000000000000'], [144, 'ffffffffffffffff']),
        ours: 'unreadable',
      },
    ],
  },
  {
    format: 'parallels',
    sample: 'parallels-v1',
    damages: [
      one('sound'),
      one('catalog size negative', [0x20, 'ffffffff']),
      { ...one('catalog too large to be held', [0x24, 'ffffffff'], [0x20, '01000040']), read: 64 * MIB },
      one('no sectors in a track', [0x1c, '00000000']),
    ],
  },
  {
    format: 'bochs',
    sample: 'empty.bochs',
    damages: [
      one('sound'),
      one('catalog size negative', [0x48, 'ffffffff']),
      one('catalog size overflows', [0x48, '00000040']),
      { ...one('catalog too small for the disk', [0x58, '00c00f000000007f']), read: 2 ** 41 },
      { ...one('catalog too small for its end', [0x48, '10000000']), read: 0xfbe00 },
      { ...one('extent size negative', [0x50, '00000080']), read: 768 * KIB },
      one('extent size 0', [0x50, '00000000']),
    ],
  },
  {
    format: 'vdi',
    size: '64M',
    damages: [
      one('larger than that', [368, '000001f8ffff0100'], [384, '80ffff1f']),
      one('too few blocks', [384, '3f000000']),
      one('too many blocks', [384, '81ffff1f']),
      one('block size too small', [376, 'ffff0f00']),
      one('block size too large', [376, '00001100']),
    ],
  },
  {
    format: 'vpc',
    size: '64M',
    damages: ['00000000', '00000080', '12345678'].map((hex) => one(`block size ${hex}`, [512 + 32, hex])),
  },
  {
    format: 'qcow',
    size: '64M',
    damages: [
      ...['ff', '1f', '08', '11'].map((hex) => one(`cluster bits ${hex}`, [32, hex])),
      ...['ff', '05', '0e', '1b'].map((hex) => one(`L2 bits ${hex}`, [33, hex])),
      one('size negative', [24, 'eeeeeeeeeeeeeeee']),
      one('size huge', [24, '7fffffffffffffff']),
      one('backing name negative', [8, '000000ff'], [16, 'ffffffff']),
      one('backing name huge', [8, '000000ff'], [16, '7fffffff']),
    ],
  },
  {
    format: 'qed',
    size: '128M',
    damages: [
      { ...one('cut in its header'), cut: 512 },
      one('magic', [0, '51454458']),
      one('cluster size', [4, 'ffffffff']),
      one('table size', [8, 'ffffffff']),
      one('header size', [12, 'ffffffff']),
      one('L1 table offset', [40, 'ffffffffffffffff']),
      one('size', [48, 'ffffffffffffffff']),
    ],
  },
  {
    format: 'qcow2',
    size: '64M',
    prepare: (path) => qemuIo(path, 'write 0 512'),
    damages: [
      ...['ffffffff', '7fffffff'].map((hex) => one(`header length ${hex}`, [100, hex])),
      ...['ffffffffffffffff', '0000000000000074', '0000000000000000'].map((hex) =>
        one(`unknown extension, backing at ${hex}`, [8, hex], [112, '123456787fffffff']),
      ),
      ...['ffffffff', '00020001'].map((hex) => one(`refcount table clusters ${hex}`, [56, hex])),
      one('refcount table not aligned', [48, '1234567890abcdef']),
      one('refcount table beyond everything', [48, 'ffffffffffff0000'], [56, '0000007f']),
      ...['ffffffff', '7fffffff'].map((hex) => one(`snapshots ${hex}`, [60, hex])),
      one('snapshot table beyond everything', [64, 'ffffffffffff0000'], [60, '0000ffff']),
      one('snapshot table not aligned, of none', [64, '1234567890abcdef'], [60, '00000000']),
      ...['ffffffff', '7fffffff', '00000000'].map((hex) => one(`L1 size ${hex}`, [36, hex])),
      one('L1 table beyond everything', [40, '7fffffffffff0000'], [36, '0000ffff']),
      one('L1 table not aligned', [40, '1234567890abcdef'], [36, '00000001']),
      one('backing name too long', [8, '0000000000001000'], [16, 'ffffffff']),
      // Data behind the end of the file is lost, not zero.
      { ...one('L2 entry beyond everything', [0x40000, 'bfffffffffff0000']), ours: 'unreadable' },
      { ...one('L2 entry far away', [0x40000, '800000ffffff0000']), ours: 'unreadable' },
      one('L2 entry not aligned', [0x40000, '8000000000050200']),
      one('L1 entry not aligned', [0x30000, '8000000000040200']),
    ],
  },
];

function theirVerdict(path: string, format: string, offset: number): Verdict {
  const done = spawnSync('qemu-io', ['-r', '-f', format, '-c', `read ${offset} 512`, path], {
    encoding: 'utf8',
  });
  if (/can't open|Could not open/.test(done.stderr)) return 'refused';
  return /^read \d+\/\d+ bytes/m.test(done.stdout) ? 'read' : 'unreadable';
}

async function ourVerdict(path: string, format: string, offset: number): Promise<Verdict> {
  let verdict: Verdict = 'refused';
  try {
    const { node } = await openImage(path, { format });
    verdict = 'unreadable';
    try {
      await node.read(offset, new Uint8Array(512));
      verdict = 'read';
    } finally {
      await node.close();
    }
  } catch (error) {
    if (!(error instanceof PlatterError)) throw error;
    expect(error.context).toMatchObject({ image: expect.any(String) as string });
  }
  return verdict;
}

function poked(bytes: Buffer, pokes: Poke[]): Buffer {
  for (const [offset, hex] of pokes) bytes.set(Buffer.from(hex, 'hex'), offset);
  return bytes;
}

for (const { format, size, sample, prepare, damages } of TARGETS) {
  const absent = sample !== undefined && missing !== undefined;
  describe.skipIf(absent)(format, () => {
    const sound = at(`sound.${format}`);
    const make = (): void => {
      if (existsSync(sound)) return;
      if (sample !== undefined) copyFileSync(join(samplesDir(), sample), sound);
      else qemuImg('create', '-q', '-f', format, sound, String(size));
      prepare?.(sound);
    };
    it.each(damages)('$what', async ({ pokes, cut, read = 0, ours }) => {
      make();
      const path = at(`damaged.${format}`);
      writeFileSync(path, poked(readFileSync(sound), pokes));
      if (cut !== undefined) truncateSync(path, Math.min(cut, statSync(path).size));
      const theirs = theirVerdict(path, format, read);
      expect(await ourVerdict(path, format, read)).toBe(ours ?? theirs);
      if (ours !== undefined) expect(theirs).not.toBe(ours);
    });
  });
}
