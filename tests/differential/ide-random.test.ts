/** Random register scripts for the PIIX IDE controllers: Platter's and QEMU's, and what their disks hold afterwards. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { Random } from '#engine/guest/workload.ts';
import { IDE_MODELS } from './ide-board.ts';
import { machinesForEach, NAMES, same } from './ide-machines.ts';
import { RandomScript } from './ide-random.ts';

describe.each(IDE_MODELS)('random scripts for %s', (model) => {
  const machines = machinesForEach(model);
  const scripts = Number(process.env['PLATTER_IDE_SCRIPTS'] ?? 3);
  it.each(Array.from({ length: scripts }, (_, i) => i + 1))('seed %i', async (seed) => {
    await same(machines(), async (driver) => {
      await driver.assign();
      const script = new RandomScript(driver, new Random(seed));
      for (let step = 0; step < 150; step++) await script.step();
      await script.finish();
    });
    for (const [i, name] of NAMES.entries()) {
      const file = await readFile(join(machines().folder, name));
      expect(file.equals(machines().disks[i]), `the contents of ${name}`).toBe(true);
    }
  });
});
