/** Opening: probing, the gate, chains, and everything that must be refused (hostile-inputs: images 1 to 4, 12). */
import { mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { allowAll, type Gate, type GateRequest } from './gate.ts';
import { openImage } from './graph.ts';
import { mapPage } from './map.ts';
import { MemoryStorage } from './storage/memory.ts';
import { NodeStorage } from './storage/node-storage.ts';
import { openFile } from './storage/file.ts';
import { noise, same } from './testing/bytes.ts';
import { qemuImg, qemuIo, qemuSame, testFolder } from './testing/qemu.ts';

const at = testFolder();
const code = (expected: string): unknown => expect.objectContaining({ code: expected });
const open = async (...args: Parameters<typeof openImage>): Promise<Awaited<ReturnType<typeof openImage>>> =>
  openImage(...args);

/** A gate that remembers what it was asked. */
function recordingGate(answer: boolean): Gate & { asked: GateRequest[] } {
  const asked: GateRequest[] = [];
  return {
    asked,
    allow: (request) => {
      asked.push(request);
      return answer;
    },
  };
}

/** A qcow2 image of 1 MiB that names `reference` as its backing file; the file need not exist. */
function overlay(name: string, reference: string, format = 'raw'): string {
  qemuImg('create', '-q', '-u', '-f', 'qcow2', '-b', reference, '-F', format, at(name), '1M');
  return at(name);
}

describe('probing', () => {
  it('finds the format by its magic, and says what an empty file is', async () => {
    qemuImg('create', '-q', '-f', 'qcow2', at('magic'), '1M');
    const image = await open(at('magic'));
    expect(image.info.format).toBe('qcow2');
    await image.node.close();
    writeFileSync(at('empty'), '');
    await expect(open(at('empty'))).rejects.toThrow(code('block.empty-file'));
    const empty = await open(at('empty'), { format: 'raw' });
    expect(empty.info.virtualSize).toBe(0);
    await empty.node.close();
    await expect(open(at('magic'), { format: 'qcow9' })).rejects.toThrow(code('block.unknown-format'));
    writeFileSync(at('text'), 'no image at all');
    await expect(open(at('text'), { format: 'qcow2' })).rejects.toThrow(code('qcow2.not-qcow2'));
  });

  it('gives the storage back when an open fails, and nothing was written', async () => {
    const bytes = Uint8Array.from(
      Buffer.concat([Buffer.from('QFI\xfb', 'latin1'), Buffer.alloc(2000, 0xff)]),
    );
    writeFileSync(at('broken'), bytes);
    for (const readOnly of [true, false]) {
      await expect(open(at('broken'), { readOnly })).rejects.toThrow(code('qcow2.unknown-version'));
    }
    expect(same(readFileSync(at('broken')), bytes)).toBe(true);
  });
});

describe('raw', () => {
  it('takes any size', async () => {
    writeFileSync(at('odd.raw'), noise(1003, 1));
    const { node, info } = await open(at('odd.raw'), { readOnly: false, format: 'raw' });
    expect(info.virtualSize).toBe(1003);
    await node.write(1000, Uint8Array.of(1, 2, 3));
    expect(() => node.write(1001, Uint8Array.of(1, 2, 3))).toThrow(code('block.out-of-range'));
    await node.close();
    expect([...readFileSync(at('odd.raw')).subarray(1000)]).toEqual([1, 2, 3]);
  });

  it('that was only guessed never becomes another format (CVE-2024-40767)', async () => {
    writeFileSync(at('guessed.raw'), new Uint8Array(1 << 20));
    qemuImg('create', '-q', '-f', 'qcow2', at('header.qcow2'), '1M');
    const header = readFileSync(at('header.qcow2')).subarray(0, 512);
    const guessed = await open(at('guessed.raw'), { readOnly: false });
    expect(() => guessed.node.write(0, header)).toThrow(code('raw.guarded-sector'));
    // In pieces it is caught as well: when the last piece would complete the magic.
    await guessed.node.write(0, Uint8Array.of(0x51, 0x46, 0x49));
    await guessed.node.write(4, Uint8Array.of(0, 0, 0, 3));
    expect(() => guessed.node.write(3, Uint8Array.of(0xfb))).toThrow(code('raw.guarded-sector'));
    await guessed.node.write(512, header);
    await guessed.node.close();
    const said = await open(at('guessed.raw'), { readOnly: false, format: 'raw' });
    await said.node.write(0, header);
    await said.node.close();
  });
});

describe('the gate', () => {
  it('is asked before anything that an image names, and denies by default', async () => {
    writeFileSync(at('secret.raw'), noise(1 << 20, 1));
    const path = overlay('asks.qcow2', 'secret.raw');
    await expect(open(path)).rejects.toThrow(code('gate.denied'));
    const gate = recordingGate(false);
    await expect(open(path, { gate })).rejects.toThrow(code('gate.denied'));
    expect(gate.asked).toEqual([
      {
        image: 'asks.qcow2',
        role: 'backing',
        reference: 'secret.raw',
        resolved: at('secret.raw'),
        format: 'raw',
        depth: 1,
      },
    ]);
  });

  it('counts anything but a yes as a no', async () => {
    const path = overlay('throws.qcow2', 'secret.raw');
    const throwing: Gate = {
      allow: () => {
        throw new Error('the window is gone');
      },
    };
    await expect(open(path, { gate: throwing })).rejects.toThrow(code('gate.denied'));
    const rejecting: Gate = { allow: () => Promise.reject(new Error('the window is gone')) };
    await expect(open(path, { gate: rejecting })).rejects.toThrow(code('gate.denied'));
  });

  it('gives no answer from which one could tell whether a file exists', async () => {
    const messages: string[] = [];
    for (const reference of ['/etc/passwd', '/etc/no-such-file']) {
      const path = overlay('probe.qcow2', reference);
      await open(path).catch((error: Error) => messages.push(error.message.replace(reference, 'X')));
    }
    expect(messages).toHaveLength(2);
    expect(messages[0]).toBe(messages[1]);
  });

  it('sees symbolic links and .. resolved', async () => {
    mkdirSync(at('folder'), { recursive: true });
    writeFileSync(at('real.raw'), noise(1 << 20, 1));
    symlinkSync(at('real.raw'), at('folder/link.raw'));
    const gate = recordingGate(true);
    const path = overlay('links.qcow2', 'folder/../folder/link.raw');
    const { node } = await open(path, { gate });
    expect(gate.asked[0].resolved).toBe(at('real.raw'));
    await node.close();
  });

  it.each([
    'json:{"driver":"file","filename":"/etc/passwd"}',
    'nbd:localhost:10809',
    'nbd://localhost/x',
    'ssh://host/x',
    'http://host/x',
    'fat:rw:/etc',
  ])('never follows %s', async (reference) => {
    const path = overlay('protocol.qcow2', 'placeholder-placeholder-placeholder-placeholder');
    const bytes = readFileSync(path);
    const offset = Number(bytes.readBigUInt64BE(8));
    bytes.write(reference, offset);
    bytes.writeUInt32BE(reference.length, 16);
    writeFileSync(path, bytes);
    const gate = recordingGate(true);
    await expect(open(path, { gate })).rejects.toThrow(code('gate.not-a-file-name'));
    expect(gate.asked).toEqual([]);
  });

  it('guards external data files too', async () => {
    const options = `data_file=${at('data.bin')}`;
    qemuImg('create', '-q', '-f', 'qcow2', '-o', options, at('external.qcow2'), '1M');
    await expect(open(at('external.qcow2'))).rejects.toThrow(code('gate.denied'));
    const gate = recordingGate(true);
    const { node } = await open(at('external.qcow2'), { gate });
    expect(gate.asked.map(({ role }) => role)).toEqual(['data-file']);
    await node.close();
  });
});

describe('chains', () => {
  it('open read-only below the first image', async () => {
    qemuImg('create', '-q', '-f', 'qcow2', at('lower.qcow2'), '1M');
    const path = overlay('upper.qcow2', 'lower.qcow2', 'qcow2');
    const { node } = await open(path, { readOnly: false, gate: allowAll });
    expect(node.readOnly).toBe(false);
    expect(node.backing?.readOnly).toBe(true);
    expect(() => node.backing?.write(0, new Uint8Array(1))).toThrow(code('block.read-only'));
    await node.close();
  });

  it('whose file is missing: named, or tolerated and never read as zeroes', async () => {
    const path = overlay('orphan.qcow2', 'gone.raw');
    await expect(open(path, { gate: allowAll })).rejects.toThrow(
      expect.objectContaining({
        code: 'storage.not-found',
        context: expect.objectContaining({ image: 'gone.raw' }),
      }),
    );
    writeAndLoseBacking(path);
    for (const backing of ['tolerate', 'skip'] as const) {
      const { node, info } = await open(path, { gate: allowAll, backing });
      expect(info.backingFilename).toBe('gone.raw');
      expect(info.backingError?.code).toBe(backing === 'skip' ? 'gate.not-asked' : 'storage.not-found');
      expect(() => node.read(0, new Uint8Array(512))).toThrow(code(info.backingError?.code ?? ''));
      const { extents } = await mapPage(node);
      expect(extents[0]).toMatchObject({ present: false, zero: false, data: false });
      await node.close();
    }
  });

  it('that bite their own tail are refused', async () => {
    overlay('a.qcow2', 'b.qcow2', 'qcow2');
    overlay('b.qcow2', 'c.qcow2', 'qcow2');
    overlay('c.qcow2', 'a.qcow2', 'qcow2');
    await expect(open(at('a.qcow2'), { gate: allowAll })).rejects.toThrow(code('block.chain-cycle'));
    overlay('self.qcow2', 'self.qcow2', 'qcow2');
    await expect(open(at('self.qcow2'), { gate: allowAll })).rejects.toThrow(code('block.chain-cycle'));
  });

  it('are bounded in depth', async () => {
    qemuImg('create', '-q', '-f', 'qcow2', at('link-0.qcow2'), '1M');
    for (let index = 1; index < 6; index++)
      overlay(`link-${index}.qcow2`, `link-${index - 1}.qcow2`, 'qcow2');
    const limits = { chainDepth: 5 };
    await expect(open(at('link-5.qcow2'), { gate: allowAll, limits })).rejects.toThrow(
      code('block.chain-too-deep'),
    );
    await (await open(at('link-4.qcow2'), { gate: allowAll, limits })).node.close();
  });

  it('whose backing format is unknown are refused by name', async () => {
    qemuImg('create', '-q', '-f', 'qcow2', at('lower.qcow2'), '1M');
    const path = overlay('strange.qcow2', 'lower.qcow2', 'qcow2');
    const bytes = readFileSync(path);
    const place = bytes.indexOf('qcow2', 100);
    bytes.write('qcowX', place);
    writeFileSync(path, bytes);
    await expect(open(path, { gate: allowAll })).rejects.toThrow(code('block.unknown-format'));
  });
});

it('a format lies over any storage: qcow2 inside a window of a raw disk inside memory', async () => {
  qemuImg('create', '-q', '-f', 'qcow2', at('inner.qcow2'), '2M');
  qemuIo(at('inner.qcow2'), 'write -P 7 100k 300k');
  const inner = readFileSync(at('inner.qcow2'));
  const disk = new MemoryStorage(8 << 20);
  disk.write(1 << 20, inner);
  const { node: outer } = await open(disk, { readOnly: false, format: 'raw' });
  const partition = new NodeStorage(outer, { offset: 1 << 20, length: 6 << 20 });
  const { node } = await open(partition, { readOnly: false });
  expect(node.driver).toBe('qcow2');
  const bytes = noise(200_000, 5);
  await node.write(50_000, bytes);
  await node.flush();
  const back = new Uint8Array(6 << 20);
  disk.read(1 << 20, back);
  writeFileSync(at('back.qcow2'), back);
  await node.close();
  const direct = openFile(at('inner.qcow2'), { readOnly: false });
  const { node: reference } = await open(direct, { readOnly: false });
  await reference.write(50_000, bytes);
  await reference.close();
  expect(qemuSame(at('back.qcow2'), at('inner.qcow2'))).toBe(true);
});

/** Writes one cluster into an overlay and then takes its backing file away. */
function writeAndLoseBacking(path: string): void {
  writeFileSync(at('gone.raw'), new Uint8Array(1 << 20));
  qemuIo(path, 'write -P 1 512k 64k');
  rmSync(at('gone.raw'));
}
