/**
 * No space left while an image is written: the error says so, what was flushed is there, nothing is damaged, and with space again the
 * same writer goes on.
 */
import { spawnSync } from 'node:child_process';
import { copyFileSync, statSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { PlatterError } from '../../errors.ts';
import type { FormatNode } from '../access.ts';
import { openImage } from '../graph.ts';
import { withRoom } from '../testing/death.ts';
import { qemuImg, testFolder } from '../testing/qemu.ts';
import { doStep, SectorModel, SIZE, STEPS } from '../testing/sector-model.ts';

const at = testFolder();

const FORMATS = [
  ['qcow2', 'cluster_size=4k'],
  ['qcow2', 'cluster_size=64k,extended_l2=on'],
  ['qcow2', 'cluster_size=512'],
  ['qed', 'cluster_size=4k'],
  ['vdi', 'static=off'],
  ['vmdk', 'subformat=monolithicSparse'],
  ['vhdx', 'block_size=1M'],
  ['vpc', 'subformat=dynamic'],
  ['parallels', 'cluster_size=64k'],
];

/** Runs `work`; whether it found no space. Every other error is thrown on. */
async function runsOut(work: () => Promise<void>): Promise<boolean> {
  try {
    await work();
    return false;
  } catch (error) {
    if (!(error instanceof PlatterError) || error.code !== 'storage.no-space') throw error;
    return true;
  }
}

async function contents(path: string, format: string): Promise<Buffer> {
  const { node } = await openImage(path, { format });
  const bytes = Buffer.alloc(node.virtualSize);
  await node.read(0, bytes);
  await node.close();
  return bytes;
}

function expectSound(path: string, format: string, where: string): void {
  const checked = spawnSync('qemu-img', ['check', '-f', format, path], { encoding: 'utf8' });
  const said = `${where}: ${checked.stdout}${checked.stderr}`;
  if (format === 'vdi' && checked.stderr.includes('allocated blocks mismatch')) return;
  expect([0, 3, 63], said).toContain(checked.status);
}

describe.each(FORMATS)('%s, %s', (format, options) => {
  it.each([0, 4096, 1_000_000])('with room for %i bytes more', async (room) => {
    const [made, path] = [at(`made.${format}`), at(`disk.${format}`)];
    qemuImg('create', '-q', '-f', format, '-o', options, made, String(SIZE));
    copyFileSync(made, path);
    const model = new SectorModel();
    const opened: FormatNode = (await openImage(path, { format, readOnly: false })).node;
    let failures = 0;
    await withRoom(statSync(made).size + room, async () => {
      for (const step of STEPS) {
        if (await runsOut(() => doStep(opened, step, model))) failures++;
      }
    });
    expect(failures).toBeGreaterThan(0);
    // Space again, the same writer, and all of it.
    for (const step of STEPS) await doStep(opened, step, model);
    await opened.close();
    model.flushed();
    expect(model.fault(await contents(path, format))).toBeUndefined();
    expectSound(path, format, 'with space again');
    // And a writer that gives up.
    copyFileSync(made, path);
    const gaveUp = new SectorModel();
    await withRoom(statSync(made).size + room, async () => {
      const { node } = await openImage(path, { format, readOnly: false });
      for (const step of STEPS) await runsOut(() => doStep(node, step, gaveUp));
      await runsOut(async () => node.close());
    });
    expect(gaveUp.fault(await contents(path, format))).toBeUndefined();
    expectSound(path, format, 'given up');
  });
});
