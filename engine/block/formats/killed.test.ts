/**
 * A writer of any format that is killed at any moment. What was flushed before is there, what was being written is old or new sector by
 * sector, nothing else has changed, and qemu-img check finds no damage. `PLATTER_KILL_POINTS` tries more moments.
 */
import { spawnSync } from 'node:child_process';
import { copyFileSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { openImage } from '../graph.ts';
import { dyingAt, moments } from '../testing/death.ts';
import { qemuImg, testFolder } from '../testing/qemu.ts';
import { doStep, SectorModel, SIZE, STEPS } from '../testing/sector-model.ts';

const at = testFolder();
const POINTS = Number(process.env.PLATTER_KILL_POINTS ?? 4);
/** Format, options, and what qemu-img check may find wrong after a kill, if anything. */
const FORMATS: [string, string, RegExp?][] = [
  ['qcow2', 'cluster_size=4k'],
  ['qcow2', 'cluster_size=64k,extended_l2=on'],
  ['qcow2', 'lazy_refcounts=on'],
  ['qed', 'cluster_size=4k'],
  // The count of blocks and the map lie in two places of the file: QEMU's own driver leaves the same between its two writes.
  ['vdi', 'static=off', /^ERROR: allocated blocks mismatch, is \d+, should be \d+$/],
  ['vmdk', 'subformat=monolithicSparse'],
  ['vhdx', 'block_size=1M'],
  ['vpc', 'subformat=dynamic'],
  // The mark that it was not closed, and clusters that nothing points to yet.
  ['parallels', 'cluster_size=64k', /^ERROR image was not closed correctly(\nERROR space leaked[^\n]*)?$/],
];

async function work(path: string, format: string, model: SectorModel): Promise<void> {
  const { node } = await openImage(path, { format, readOnly: false });
  try {
    for (const step of STEPS) await doStep(node, step, model);
  } finally {
    await node.close();
  }
}

describe.each(FORMATS)('%s, %s', (format, options, tolerated) => {
  it('keeps what was flushed, whenever it is killed', { timeout: 120_000 }, async () => {
    const [made, path, raw] = [at(`made.${format}`), at(`disk.${format}`), at('disk.raw')];
    qemuImg('create', '-q', '-f', format, '-o', options, made, String(SIZE));
    copyFileSync(made, path);
    const { changes } = await dyingAt(() => work(path, format, new SectorModel()));
    for (const moment of moments(changes, POINTS)) {
      const where = `change ${moment} of ${changes}`;
      copyFileSync(made, path);
      const model = new SectorModel();
      expect((await dyingAt(() => work(path, format, model), moment, moment % 2 === 1)).died).toBe(true);
      const checked = spawnSync('qemu-img', ['check', '-f', format, path], { encoding: 'utf8' });
      const said = `${where}: ${checked.stdout}${checked.stderr}`;
      const excused = tolerated?.test(checked.stderr.trim()) === true;
      if (!excused) expect([0, 3, 63], said).toContain(checked.status);
      const { node } = await openImage(path, { format });
      const ours = Buffer.alloc(node.virtualSize);
      await node.read(0, ours);
      await node.close();
      expect(model.fault(ours), where).toBeUndefined();
      // Whoever opens it next for writing finds a sound image.
      const again = await openImage(path, { format, readOnly: false });
      await again.node.write(4 << 20, new Uint8Array(512).fill(9));
      await again.node.close();
      const after = spawnSync('qemu-img', ['check', '-f', format, path], { encoding: 'utf8' });
      expect([0, 3, 63], `${where}, written again: ${after.stdout}${after.stderr}`).toContain(after.status);
      qemuImg('convert', '-f', format, '-O', 'raw', path, raw);
      const theirs = readFileSync(raw);
      ours.fill(9, 4 << 20, (4 << 20) + 512);
      expect(theirs.subarray(0, SIZE).equals(ours.subarray(0, SIZE)), where).toBe(true);
    }
  });
});
