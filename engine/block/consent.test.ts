/** Hostile inputs, images, lines 1, 3 and 4: for every way in which an image can name another file. */
import {
  copyFileSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { beforeAll, describe, expect, it } from 'vitest';
import { PlatterError } from '../errors.ts';
import type { Gate, GateRequest } from './gate.ts';
import { openImage, type OpenedImage } from './graph.ts';
import { differencing as differencingVhdx } from './formats/vhdx/testing/differencing.ts';
import { differencing as differencingVhd } from './formats/vpc/testing/differencing.ts';
import { convert } from './jobs/convert.ts';
import { noise } from './testing/bytes.ts';
import { qemuImg, testFolder } from './testing/qemu.ts';

const at = testFolder();
/** As long as any of the names that are put into its place. */
const NAME = 'a-rather-long-name-that-others-are-written-over';

interface Kind {
  role: GateRequest['role'];
  /** Makes the image `path` that names `NAME` beside it. */
  make(path: string): void;
  /** An image that names another file, where that takes more than the name in place of `NAME`. */
  naming?: (next: string, image: Buffer) => Uint8Array;
}

const over = (format: string, path: string, ...options: string[]): void => {
  qemuImg('create', '-q', '-u', '-f', format, '-b', NAME, '-F', 'raw', ...options, path, '1M');
};

const KINDS: Record<string, Kind> = {
  'backing file of a qcow2': { role: 'backing', make: (path) => over('qcow2', path) },
  'backing file of a qed': { role: 'backing', make: (path) => over('qed', path) },
  'backing file of a qcow': {
    role: 'backing',
    make: (path) => over('qcow', path),
  },
  'data file of a qcow2': {
    role: 'data-file',
    make: (path) => {
      // qemu-img makes the file where it stands; only its name matters here.
      qemuImg('create', '-q', '-f', 'qcow2', '-o', `data_file=${at(NAME)}`, path, '1M');
      writeFileSync(path, named(readFileSync(path), at(NAME), NAME));
    },
  },
  'extent of a vmdk': {
    role: 'extent',
    make: (path) =>
      writeFileSync(
        path,
        `# Disk DescriptorFile\nversion=1\nCID=12345678\nparentCID=ffffffff\ncreateType="monolithicFlat"\n\nRW 2048 FLAT "${NAME}" 0\n`,
      ),
  },
  'parent of a vmdk': {
    role: 'parent',
    make: (path) => {
      qemuImg('create', '-q', '-f', 'vmdk', at(NAME), '1M');
      qemuImg('create', '-q', '-f', 'vmdk', '-b', at(NAME), '-F', 'vmdk', path, '1M');
      writeFileSync(path, named(readFileSync(path), at(NAME), NAME));
    },
  },
  'parent of a vpc': {
    role: 'parent',
    make: (path) => qemuImg('create', '-q', '-f', 'vpc', path, '5M'),
    naming: (next, image) => differencingVhd(image, next).image,
  },
  'parent of a vhdx': {
    role: 'parent',
    make: (path) =>
      qemuImg('create', '-q', '-f', 'vhdx', '-o', 'block_size=1M,block_state_zero=off', path, '4M'),
    naming: (next, image) => differencingVhdx(image, next, LINKAGE, new Uint8Array(512)),
  },
};

/** The identifier of the data that a child was made from; nobody gets as far as to compare it. */
const LINKAGE = '11111111-2222-4333-8444-555555555555';

/** `bytes` with `next` in the place of `name`, and nothing behind it. */
function named(bytes: Buffer, name: string, next: string): Buffer {
  const old = Buffer.from(name);
  const copy = Buffer.from(bytes);
  const place = copy.indexOf(old);
  if (place < 0) throw new Error(`the image does not name ${name}`);
  // Text is closed by its quote right behind the name, a length in the header counts the bytes.
  const quoted = copy[place + old.length] === 0x22;
  const text = Buffer.alloc(old.length + (quoted ? 1 : 0), quoted ? 0x20 : 0);
  text.write(quoted ? `${next}"` : next, 0);
  text.copy(copy, place);
  if (!quoted) shorten(copy, place, old.length, Buffer.byteLength(next));
  return copy;
}

/** The length of the name, which stands before or after its offset, or before it in an extension. */
function shorten(bytes: Buffer, place: number, from: number, to: number): void {
  if (bytes.readUInt32BE(place - 4) === from) bytes.writeUInt32BE(to, place - 4);
  else if (bytes.toString('latin1', 0, 4) === 'QED\0') bytes.writeUInt32LE(to, 60);
  else bytes.writeUInt32BE(to, 16);
}

interface Recording extends Gate {
  asked: GateRequest[];
}

function gate(answer: (request: GateRequest) => boolean): Recording {
  const asked: GateRequest[] = [];
  return {
    asked,
    allow: (request) => {
      asked.push(request);
      return answer(request);
    },
  };
}

async function open(path: string, by?: Gate): Promise<OpenedImage> {
  return openImage(path, { gate: by });
}

async function refusal(path: string, by?: Gate): Promise<PlatterError> {
  const failed = await open(path, by).then(
    ({ node }) => node.close(),
    (error: unknown) => error,
  );
  if (failed instanceof PlatterError) return failed;
  throw new Error(`${path} was opened`);
}

beforeAll(() => {
  for (const [name, kind] of Object.entries(KINDS)) kind.make(at(name));
  rmSync(at(NAME), { force: true });
});

describe.each(Object.entries(KINDS))('%s', (kind, { role, naming: made }) => {
  /** A copy of the image that names `next`. */
  const naming = (next: string): string => {
    const path = at(`${role}.img`);
    const image = readFileSync(at(kind));
    writeFileSync(path, made === undefined ? named(image, NAME, next) : made(next, image));
    return path;
  };

  it('is not touched without consent, and the refusal tells nothing about it', async () => {
    writeFileSync(at('there'), noise(1 << 20, 1));
    const said: string[] = [];
    for (const name of ['there', 'nope!']) {
      const asked = gate(() => false);
      const error = await refusal(naming(name), asked);
      expect(asked.asked).toEqual([
        expect.objectContaining({ role, reference: name, resolved: at(name), depth: 1 }),
      ]);
      expect(error).toMatchObject({ code: 'gate.denied' });
      expect(await refusal(naming(name))).toMatchObject({ code: 'gate.denied' });
      said.push(JSON.stringify([error.message, error.context]).replaceAll(name, 'X'));
    }
    expect(said[0]).toBe(said[1]);
  });

  it('is not touched for information either: what can be told without it is told', async () => {
    writeFileSync(at('there'), noise(1 << 20, 1));
    const asked = gate(() => false);
    const image = naming('there');
    const opened = (async () => openImage(image, { gate: asked, backing: 'tolerate' }))();
    if (role === 'extent' || role === 'data-file') {
      await expect(opened).rejects.toMatchObject({ code: 'gate.denied' });
    } else {
      const { info, node } = await opened;
      expect(info).toMatchObject({ backingFilename: 'there', backingError: { code: 'gate.denied' } });
      expect(info.backing).toBeUndefined();
      await node.close();
    }
    expect(asked.asked).toHaveLength(1);
  });

  it('is judged by where it leads', async () => {
    mkdirSync(at('elsewhere'), { recursive: true });
    writeFileSync(at('elsewhere/real'), noise(1 << 20, 2));
    rmSync(at('link'), { force: true });
    symlinkSync(at('elsewhere'), at('link'));
    const asked = gate(() => false);
    await refusal(naming('elsewhere/../link/./real'), asked);
    expect(asked.asked[0].resolved).toBe(at('elsewhere/real'));
  });

  it.each(["json:{'driver':'file','filename':'there'}", 'nbd://localhost/x', 'fat:rw:/etc'])(
    'is never %s',
    async (name) => {
      const asked = gate(() => true);
      expect(await refusal(naming(name), asked)).toMatchObject({ code: 'gate.not-a-file-name' });
      expect(asked.asked).toEqual([]);
    },
  );

  it.each(['the file', 'its folder'])(
    'is that very file: %s is not exchanged after the answer',
    async (what) => {
      for (const name of ['judged', 'other']) {
        rmSync(at(name), { recursive: true, force: true });
        mkdirSync(at(name));
        writeFileSync(at(`${name}/disk`), noise(1 << 20, 3));
      }
      const swap = gate(() => {
        const [from, to] = what === 'the file' ? ['judged/disk', 'other/disk'] : ['judged', 'other'];
        renameSync(at(from), at('away'));
        symlinkSync(at(to), at(from));
        return true;
      });
      expect(await refusal(naming('judged/disk'), swap)).toMatchObject({ code: 'storage.symlink' });
      rmSync(at('judged'), { recursive: true, force: true });
      rmSync(at('away'), { recursive: true, force: true });
    },
  );
});

it('convert copies no file of the host out (CVE-2015-5163)', async () => {
  writeFileSync(at('passwd'), 'root:x:0:0'.padEnd(512));
  copyFileSync(at('backing file of a qcow2'), at('bait'));
  qemuImg('rebase', '-u', '-b', at('passwd'), '-F', 'raw', at('bait'));
  const { node } = await openImage(at('bait'), { backing: 'tolerate' });
  await expect(convert(node, at('loot'), { format: 'raw' })).rejects.toMatchObject({ code: 'gate.denied' });
  expect(() => readFileSync(at('loot'))).toThrow();
  await node.close();
});
