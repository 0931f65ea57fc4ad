/** A network file system that goes away, and media that cannot be written: each says so, and nothing is lost. */
import { execFileSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { afterEach, describe, expect, it } from 'vitest';
import { noise } from '../testing/bytes.ts';
import { canServe, ServedFile } from '../testing/fuse.ts';
import { qemuCheck, qemuImg, qemuIo, testFolder } from '../testing/qemu.ts';
import { checkImage } from '../check.ts';
import { openImage } from '../graph.ts';
import { checksumImage } from '../jobs/checksum.ts';
import { convert } from '../jobs/convert.ts';
import { mapPage } from '../map.ts';
import { openFile } from './file.ts';

const at = testFolder();
const gone = expect.objectContaining({ code: 'storage.gone' });

describe.skipIf(!canServe())('a file system whose server died', () => {
  const served: ServedFile[] = [];
  afterEach(async () => {
    for (const file of served.splice(0)) await file.remove();
  });
  const serve = async (name: string): Promise<ServedFile> => {
    const file = await ServedFile.start(at(name), at(`served-${name}`));
    served.push(file);
    return file;
  };

  it('is told of whatever is asked', async () => {
    writeFileSync(at('bytes'), noise(1 << 20, 1));
    const server = await serve('bytes');
    const file = openFile(server.path, { readOnly: false });
    file.read(0, new Uint8Array(512));
    await server.goAway();
    expect(() => file.read(1 << 19, new Uint8Array(4096))).toThrow(gone);
    expect(() => file.write(0, new Uint8Array(4096))).toThrow(gone);
    await expect(file.writeLater(0, new Uint8Array(4096))).rejects.toEqual(gone);
    expect(() => file.size()).toThrow(gone);
    expect(() => file.allocatedSize()).toThrow(gone);
    expect(() => file.truncate(1)).toThrow(gone);
    expect(() => file.writeZeroes(0, 1)).toThrow(gone);
    expect(() => file.flush()).toThrow(gone);
    expect(() => file.close()).toThrow(gone);
    expect(() => openFile(server.path)).toThrow(gone);
    await expect((async () => openImage(server.path, { readOnly: false }))()).rejects.toEqual(gone);
  });

  it('ends a job that reads from it, which leaves nothing behind', async () => {
    qemuImg('create', '-q', '-f', 'qcow2', at('source.qcow2'), '64M');
    qemuIo(at('source.qcow2'), 'write -P 1 0 64M');
    const server = await serve('source.qcow2');
    mkdirSync(at('target'));
    const { node } = await openImage(server.path);
    let killed: Promise<void> | undefined;
    const job = convert(node, at('target/copy.qcow2'), {
      format: 'qcow2',
      onProgress: () => void (killed ??= server.goAway()),
    });
    await expect(job).rejects.toEqual(gone);
    expect(readdirSync(at('target'))).toEqual([]);
    await killed;
    const asked = async (work: () => unknown): Promise<unknown> => work();
    await expect(asked(() => checksumImage(node, 'sha256'))).rejects.toEqual(gone);
    await expect(asked(() => checkImage(node))).rejects.toEqual(gone);
    await expect(asked(() => node.close())).rejects.toEqual(gone);
  });

  it('takes no hole for what it cannot ask about', async () => {
    writeFileSync(at('raw'), noise(1 << 20, 2));
    const server = await serve('raw');
    const { node } = await openImage(server.path, { format: 'raw' });
    await server.goAway();
    // The kernel may know the size still: then everything is data, which whoever reads it learns more about.
    const found = await (async () => mapPage(node))().catch((error: unknown) => error);
    const data = {
      extents: [expect.objectContaining({ length: 1 << 20, zero: false, data: true })],
      next: null,
    };
    expect(found).toEqual(found instanceof Error ? gone : data);
    await expect((async () => node.close())()).rejects.toEqual(gone);
  });

  it('keeps what was flushed, and a sound image', async () => {
    qemuImg('create', '-q', '-f', 'qcow2', at('disk.qcow2'), '8M');
    const server = await serve('disk.qcow2');
    const { node } = await openImage(server.path, { readOnly: false, format: 'qcow2' });
    const kept = noise(100_000, 3);
    await node.write(0, kept);
    await node.flush();
    await server.goAway();
    await expect((async () => node.write(4 << 20, kept))()).rejects.toEqual(gone);
    await expect((async () => node.close())()).rejects.toEqual(gone);
    expect(qemuCheck(at('disk.qcow2'))).not.toHaveProperty('corruptions');
    const { node: after } = await openImage(at('disk.qcow2'));
    const read = new Uint8Array(kept.length);
    await after.read(0, read);
    expect(Buffer.compare(read, kept)).toBe(0);
    await after.close();
  });
});

/** A folder that is mounted a second time, read-only; undefined where that is not allowed. */
function readOnlyCopy(folder: string, path: string): string | undefined {
  mkdirSync(path);
  try {
    execFileSync('mount', ['--bind', '-o', 'ro', folder, path], { stdio: 'ignore' });
    return path;
  } catch {
    return undefined;
  }
}

it.skipIf(process.platform !== 'linux')(
  'media that cannot be written are read, and named to who writes',
  async (context) => {
    mkdirSync(at('medium'));
    qemuImg('create', '-q', '-f', 'qcow2', at('medium/disk.qcow2'), '8M');
    const medium = readOnlyCopy(at('medium'), at('mounted'));
    if (medium === undefined) {
      context.skip('mounting takes more rights than there are here');
      return;
    }
    try {
      const path = `${medium}/disk.qcow2`;
      const { node } = await openImage(path);
      await node.read(0, new Uint8Array(512));
      const media = expect.objectContaining({ code: 'storage.read-only-media' });
      await expect((async () => openImage(path, { readOnly: false }))()).rejects.toEqual(media);
      await expect(convert(node, `${medium}/new.raw`, { format: 'raw' })).rejects.toEqual(media);
      expect(existsSync(at('medium/new.raw'))).toBe(false);
      // What lies over it is written beside it.
      copyFileSync(path, at('over.qcow2'));
      qemuImg('rebase', '-u', '-b', path, '-F', 'qcow2', at('over.qcow2'));
      const { node: over } = await openImage(at('over.qcow2'), {
        readOnly: false,
        gate: { allow: () => true },
      });
      await over.write(0, noise(1000, 1));
      await over.close();
      await node.close();
    } finally {
      execFileSync('umount', [medium]);
    }
  },
);
