import { createCipheriv, createDecipheriv } from 'node:crypto';
import * as fc from 'fast-check';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { afterAll, describe, expect, it } from 'vitest';
import {
  createAt,
  expectSameBytes,
  expectSurvives,
  openPath,
  pattern,
  readAll,
} from '../shared/testing/conformance.ts';
import { qemuImg, Scratch, secondOpinion, tool } from '../shared/testing/oracle.ts';
import { run } from '../../../maybe.ts';
import { merge, split } from './antiforensic.ts';
import { makeLuks, planLuks } from './create.ts';
import { luks1Header, luks1Slot } from './header1.ts';
import { luks } from './index.ts';
import { patiently } from '../../../../tests/support/patiently.ts';

const scratch = new Scratch();
afterAll(() => scratch.dispose());

const SECRET = 'Pass phrase äöü 口令';
const OBJECT = ['--object', `secret,id=s0,data=${SECRET}`];
const SIZE = 300 * 1024 + 512;
const secret = (): string => SECRET;

function optsOf(path: string): string {
  return `driver=luks,key-secret=s0,file.filename=${path}`;
}

function bytesByQemu(path: string): Uint8Array {
  const raw = scratch.fresh('by-qemu.raw');
  qemuImg('convert', ...OBJECT, '--image-opts', '-O', 'raw', optsOf(path), raw);
  return readFileSync(raw);
}

/** An image of QEMU that holds `contents`. */
function madeByQemu(contents: Uint8Array, ...options: string[]): string {
  const raw = scratch.fresh('source.raw');
  writeFileSync(raw, contents);
  const path = scratch.fresh('qemu.luks');
  const given = ['key-secret=s0', 'iter-time=10', ...options].join(',');
  patiently(() =>
    qemuImg('create', '-q', ...OBJECT, '-f', 'luks', '-o', given, path, String(contents.length)),
  );
  qemuImg(
    'convert',
    ...OBJECT,
    '-n',
    '--image-opts',
    '--target-image-opts',
    `driver=raw,file.filename=${raw}`,
    optsOf(path),
  );
  return path;
}

describe('luks', () => {
  const kinds = [
    [],
    ['cipher-alg=aes-128', 'hash-alg=sha1'],
    // 192 bits with XTS only: with any other mode this QEMU stops at an assertion of its own.
    ['cipher-alg=aes-192', 'ivgen-alg=plain', 'hash-alg=sha512'],
    ['cipher-mode=cbc', 'ivgen-alg=essiv', 'ivgen-hash-alg=sha256'],
    [
      'cipher-alg=aes-128',
      'cipher-mode=cbc',
      'ivgen-alg=essiv',
      'ivgen-hash-alg=sha256',
      'hash-alg=ripemd160',
    ],
    ['cipher-mode=ctr', 'ivgen-alg=plain64', 'hash-alg=sha224'],
    ['cipher-mode=ecb', 'ivgen-alg=plain', 'hash-alg=sha384'],
  ];

  it.each(kinds.map((kind) => [kind]))('reads LUKS1 of QEMU, %j', async (options) => {
    const contents = pattern(SIZE, 3);
    const path = madeByQemu(contents, ...options);
    const node = await openPath(path, { secret });
    expect([node.driver, node.virtualSize]).toEqual(['luks', SIZE]);
    expectSameBytes(await readAll(node, 10_007), contents);
    expect((await node.map(0, 512)).encrypted).toBe(true);
    await node.close();
  });

  it.each([
    {},
    { 'cipher-alg': 'aes-128', 'cipher-mode': 'cbc', 'ivgen-alg': 'essiv', 'hash-alg': 'sha1' },
    { 'cipher-alg': 'aes-128', 'cipher-mode': 'ctr', 'hash-alg': 'sha512' },
    { 'cipher-alg': 'aes-192', 'cipher-mode': 'xts', 'ivgen-alg': 'plain' },
  ])('creates and writes what QEMU reads, %j', async (options) => {
    const edits = fc.array(fc.tuple(fc.nat(SIZE - 1), fc.integer({ min: 1, max: 70000 }), fc.nat(255)), {
      minLength: 1,
      maxLength: 12,
    });
    await fc.assert(
      fc.asyncProperty(edits, async (list) => {
        const path = scratch.fresh('ours.luks');
        await createAt(path, luks, { size: SIZE, 'key-secret': SECRET, 'iter-time': 1, ...options });
        let node = await openPath(path, { readOnly: false, secret });
        await node.writeZeroes(0, SIZE);
        const expected = new Uint8Array(SIZE);
        for (const [offset, length, seed] of list) {
          const bytes =
            seed === 0
              ? new Uint8Array(Math.min(length, SIZE - offset))
              : pattern(Math.min(length, SIZE - offset), seed);
          if (seed === 0) await node.writeZeroes(offset, bytes.length);
          else await node.write(offset, bytes);
          expected.set(bytes, offset);
        }
        expectSameBytes(await readAll(node), expected);
        await node.close();
        expectSameBytes(bytesByQemu(path), expected);
        node = await openPath(path, { secret });
        expectSameBytes(await readAll(node, 777), expected);
        await node.close();
        rmSync(path);
      }),
      { numRuns: 4 },
    );
  });

  // QEMU measures for seconds whenever it makes an image: the other combinations are made here.
  const modes = ['xts', 'cbc', 'ctr', 'ecb'].flatMap((mode) =>
    ['aes-128', 'aes-256'].map((cipher): Record<string, string> => ({
      'cipher-alg': cipher,
      'cipher-mode': mode,
    })),
  );
  const generators = [
    { 'ivgen-alg': 'plain' },
    { 'ivgen-alg': 'essiv', 'ivgen-hash-alg': 'sha256' },
    // The IVs' cipher has another key size than the data's.
    { 'ivgen-alg': 'essiv', 'ivgen-hash-alg': 'md5' },
  ];
  const hashes = ['md5', 'sha1', 'sha224', 'sha256', 'sha384', 'sha512', 'ripemd160'];
  it.each([
    ...modes.map((mode, i) => ({ ...mode, ...generators[i % generators.length] })),
    ...hashes.map((hash) => ({ 'cipher-mode': 'cbc', 'hash-alg': hash })),
  ])('QEMU reads and writes %j', async (options) => {
    const path = scratch.fresh('combination.luks');
    await createAt(path, luks, { size: 65_536, 'key-secret': SECRET, 'iter-time': 1, ...options });
    const contents = pattern(65_536, 11);
    let node = await openPath(path, { readOnly: false, secret });
    await node.write(0, contents);
    await node.close();
    const write = `write -q -P 77 4608 9728`;
    const done = tool('qemu-io', [...OBJECT, '--image-opts', '-c', write, optsOf(path)]);
    expect([done.status, done.stdout + done.stderr]).toEqual([0, '']);
    contents.fill(77, 4608, 4608 + 9728);
    expectSameBytes(bytesByQemu(path), contents);
    node = await openPath(path, { secret });
    expectSameBytes(await readAll(node, 7_777), contents);
    await node.close();
  });

  // QEMU has neither; OpenSSL's own CBC says what has to lie in the file.
  it.each(['camellia', 'aria'])('reads and writes %s, which cryptsetup takes', async (name) => {
    const path = scratch.fresh('other.luks');
    const plan = planLuks(path, { 'key-secret': SECRET, 'cipher-mode': 'cbc', 'ivgen-alg': 'plain64' }, 1000);
    const made = await run(makeLuks(path, { ...plan, cipher: { name, mode: 'cbc-plain64' } }));
    writeFileSync(path, Buffer.concat([made.header, new Uint8Array(65_536)]));
    const contents = pattern(65_536, 13);
    let node = await openPath(path, { readOnly: false, secret });
    await node.write(0, contents);
    await node.close();
    const stored = readFileSync(path).subarray(made.header.length);
    for (let at = 0; at < stored.length; at += 512) {
      const iv = Buffer.alloc(16);
      iv.writeUInt32LE(at / 512);
      const cipher = createDecipheriv(`${name}-256-cbc`, made.key, iv).setAutoPadding(false);
      expectSameBytes(cipher.update(stored.subarray(at, at + 512)), contents.subarray(at, at + 512));
    }
    node = await openPath(path, { secret });
    expectSameBytes(await readAll(node), contents);
    await node.close();
  });

  it('tells what qemu-img info tells, locked', async () => {
    const path = madeByQemu(pattern(65536, 1), 'cipher-mode=cbc', 'ivgen-alg=essiv', 'ivgen-hash-alg=sha256');
    const node = await openPath(path);
    const told = (await node.format.describe()).formatSpecific;
    await expect((async () => node.read(0, new Uint8Array(512)))()).rejects.toMatchObject({
      code: 'luks.locked',
    });
    await node.close();
    const info = JSON.parse(qemuImg('info', '--output=json', path)) as {
      'format-specific': { data: Record<string, unknown> };
    };
    const { slots, ...plain } = info['format-specific'].data;
    const [first, second] = slots as Record<string, unknown>[];
    expect(told).toMatchObject({
      ...plain,
      ...Object.fromEntries(Object.entries(first).map(([key, value]) => [`slots.0.${key}`, value])),
      ...Object.fromEntries(Object.entries(second).map(([key, value]) => [`slots.1.${key}`, value])),
    });
  });

  it('says so when the passphrase is wrong', async () => {
    const path = madeByQemu(pattern(65536, 1));
    await expect(openPath(path, { secret: () => 'wrong' })).rejects.toMatchObject({
      code: 'luks.wrong-passphrase',
    });
  });

  it('gives back a key that was split (LUKS1 specification, 2.4)', () => {
    for (const bytes of [16, 32, 64]) {
      const key = pattern(bytes, 9);
      const material = split(key, 50, 'sha256');
      expectSameBytes(merge(material, bytes, 50, 'sha256'), key);
      material[3] ^= 1;
      expect(Buffer.compare(merge(material, bytes, 50, 'sha256'), key)).not.toBe(0);
    }
  });

  it.each([
    [
      'argon2id',
      ['--pbkdf', 'argon2id', '--pbkdf-memory', '32768', '--pbkdf-parallel', '2', '--sector-size', '512'],
    ],
    [
      'argon2i and sectors of 4096',
      ['--pbkdf', 'argon2i', '--pbkdf-memory', '32768', '--sector-size', '4096'],
    ],
    ['pbkdf2', ['--pbkdf', 'pbkdf2', '--sector-size', '512']],
  ])('reads LUKS2 of cryptsetup with %s', async (_name, options) => {
    if (!secondOpinion('cryptsetup')) return;
    const { path, expected, payload } = madeByCryptsetup(options);
    const node = await openPath(path, { secret, readOnly: false });
    expect(node.readOnly).toBe(true);
    expectSameBytes(await readAll(node, 9_999), expected);
    await node.close();
    // The first header may be lost.
    const image = readFileSync(path);
    image.fill(0, 512, 4096);
    writeFileSync(path, image);
    const again = await openPath(path, { secret });
    expectSameBytes(await readAll(again), expected);
    await again.close();
    await expectSurvives(
      image.subarray(0, payload + 4096),
      luks,
      [
        [0, 512],
        [4096, 3000],
        [16384, 512],
      ],
      60,
    );
  });

  it('survives hostile headers', async () => {
    const path = scratch.fresh('seed.luks');
    await createAt(path, luks, { size: 65536, 'key-secret': SECRET, 'iter-time': 1 });
    const image = new Uint8Array(readFileSync(path));
    await expectSurvives(image, luks, [[0, 592]], 300);
    // Numbers that would take hours, with a passphrase that asks for them.
    const slot = luks1Header.size;
    for (const at of [
      luks1Header.offsetOf('mk_digest_iter'),
      slot + luks1Slot.offsetOf('iterations'),
      slot + luks1Slot.offsetOf('stripes'),
    ]) {
      const copy = image.slice();
      copy.fill(0xff, at, at + 4);
      writeFileSync(path, copy);
      await expect(openPath(path, { secret })).rejects.toMatchObject({ code: 'luks.unsupported' });
    }
    for (const [field, text] of [
      ['cipher_name', 'serpent'],
      ['cipher_name', 'twofish'],
      ['cipher_name', 'cast5'],
      ['hash_spec', 'whirlpool'],
      ['cipher_mode', 'xts-benbi'],
    ] as const) {
      const copy = image.slice();
      const at = luks1Header.offsetOf(field);
      copy.fill(0, at, at + 32);
      copy.set(new TextEncoder().encode(text), at);
      writeFileSync(path, copy);
      await expect(openPath(path, { secret })).rejects.toMatchObject({ code: 'luks.unsupported' });
    }
  });
});

/** cryptsetup makes the header; the data is encrypted here with Node's own XTS under the volume key that cryptsetup tells. */
function madeByCryptsetup(options: string[]): { path: string; expected: Uint8Array; payload: number } {
  const path = scratch.fresh('v2.luks');
  const keyFile = scratch.fresh('volume.key');
  const payload = 1 << 20;
  writeFileSync(path, new Uint8Array(payload + 256 * 1024));
  const format = [
    'luksFormat',
    '-q',
    '--type',
    'luks2',
    '--offset',
    '2048',
    '--luks2-metadata-size',
    '16k',
    '--luks2-keyslots-size',
    '512k',
    '--pbkdf-force-iterations',
    options.includes('pbkdf2') ? '1000' : '4',
    ...options,
    '--key-file',
    '-',
    path,
  ];
  const made = tool('cryptsetup', format, SECRET);
  if (made.status !== 0) throw new Error(made.stderr);
  const dumped = tool(
    'cryptsetup',
    ['luksDump', '-q', '--dump-volume-key', '--volume-key-file', keyFile, '--key-file', '-', path],
    SECRET,
  );
  if (dumped.status !== 0) throw new Error(dumped.stderr);
  const key = readFileSync(keyFile);
  const sector = options.includes('4096') ? 4096 : 512;
  const expected = pattern(256 * 1024, 5);
  const image = readFileSync(path);
  for (let at = 0; at < expected.length; at += sector) {
    const iv = Buffer.alloc(16);
    iv.writeUInt32LE(at / 512);
    const cipher = createCipheriv('aes-256-xts', key, iv);
    image.set(cipher.update(expected.subarray(at, at + sector)), payload + at);
  }
  writeFileSync(path, image);
  return { path, expected, payload };
}
