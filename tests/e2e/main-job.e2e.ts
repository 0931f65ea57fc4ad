/**
 * The main job from end to end: an image made by the real qemu-img, a pasted line with two mistakes, both fixed by a click, the
 * drive bound for writing, a workload run, paused, stepped and run on; then qemu-img judges what the guest wrote.
 */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { expect, test } from '@playwright/test';
import type { Workload } from '#contract/settings.ts';
import { fillPattern, WorkloadGenerator } from '#engine/guest/workload.ts';
import { launch, type Launched } from './support/app.ts';
import { ImageFolder } from './support/images.ts';
import { chooseIn, eventTotal, goTo, pasteLine, screens, setField } from './support/lab.ts';
import { accessible } from './support/screens.ts';

const LINE = `-device virtio-blk-pci,scsi=off,bus=pci.0,addr=0x9,drive=drive-virtio-disk1,id=virtio-disk1
-drive file=/var/lib/libvirt/images/vm1.img,if=none,id=drive-virtio-disk2,format=qcow2`;
const DISK = 64 * 1024 * 1024;
const WORKLOAD: Workload = {
  rw: 'randwrite',
  bs: 4096,
  iodepth: 8,
  numberIos: 300,
  offset: 0,
  size: 0,
  rwmixread: 50,
  seed: 7,
  fsync: 0,
};
/** What stands in the image's first MiB before the guest writes. */
const BEFORE = 0x5a;

test.describe.serial('the main job', () => {
  const folder = new ImageFolder();
  let platter: Launched;
  let file: string;

  test.beforeAll(async () => {
    file = folder.create('vm1.qcow2', 'qcow2', { size: '64M', pattern: BEFORE });
    platter = await launch({ files: [file] });
    await platter.image((image) => image.info !== undefined);
  });
  test.afterAll(() => folder.remove());

  test('says what is wrong with the pasted line', async () => {
    const { page } = platter;
    await goTo(page, 'machine');
    await pasteLine(platter, LINE);
    const problems = page.getByTestId('problem');
    await expect(problems).toHaveCount(2);
    await expect(problems.filter({ hasText: 'drive-virtio-disk1' })).toContainText(
      'No drive has the id drive-virtio-disk1. Did you mean drive-virtio-disk2?',
    );
    await expect(problems.filter({ hasText: 'scsi=off' })).toContainText('gone from newer QEMU');
    await expect(page.locator('.piece.missing')).toContainText('drive-virtio-disk1');
    await screens(platter, 'main-job-1-problems');
  });

  test('fixes both with a click each', async () => {
    const { page } = platter;
    await page.getByTestId('problem').filter({ hasText: 'scsi=off' }).getByTestId('fix').first().click();
    await expect(page.getByTestId('problem')).toHaveCount(1);
    await page.getByTestId('problem').getByTestId('fix').first().click();
    await expect(page.getByTestId('problem')).toHaveCount(0);
    const fixed = LINE.replace('scsi=off,', '').replace(
      'drive=drive-virtio-disk1',
      'drive=drive-virtio-disk2',
    );
    await expect(page.locator('.line-editor .cm-content')).toHaveText(fixed.replace('\n', ''));
    await expect(page.locator('.piece.missing')).toHaveCount(0);
  });

  test('binds the drive for writing and warns of it', async () => {
    const { page } = platter;
    const binding = page.locator('[data-testid=binding][data-drive=drive-virtio-disk2]');
    await chooseIn(
      page,
      page.getByRole('combobox', { name: 'Image behind drive-virtio-disk2' }),
      'vm1.qcow2',
    );
    await expect(binding).toContainText('The image is not touched.');
    await chooseIn(page, page.getByRole('combobox', { name: 'How drive-virtio-disk2 may be used' }), 'write');
    await expect(binding.getByRole('note')).toContainText('cannot be brought back');
    await accessible(page);
    await screens(platter, 'main-job-2-bound');
  });

  test('runs the workload: everything moves', async () => {
    const { page } = platter;
    await goTo(page, 'lab');
    await chooseIn(page, page.getByRole('combobox', { name: 'rw', exact: true }), WORKLOAD.rw);
    await setField(page, 'number_ios', String(WORKLOAD.numberIos));
    await setField(page, 'randseed', String(WORKLOAD.seed));
    await chooseIn(page, page.getByRole('combobox', { name: 'Speed' }), '1000/s');
    await goTo(page, 'machine');
    await page.getByTestId('machine-run').click();
    await expect(page.locator('main.work')).toHaveAttribute('data-workspace', 'lab');
    await expect(page.getByTestId('lab-state')).toHaveAttribute('data-state', 'running');
    const before = await eventTotal(page);
    await expect.poll(() => eventTotal(page)).toBeGreaterThan(before);
    // A request has come all the way round: each of the fourteen stations has seen it.
    for (let station = 1; station <= 14; station++)
      await expect
        .poll(async () =>
          Number(await page.locator(`[data-station="${station}"]`).getAttribute('data-events')),
        )
        .toBeGreaterThan(0);
    await expect.poll(() => interrupts(page)).toBeGreaterThan(0);
    const ring = page.getByRole('img', { name: /^used ring of 256: index [1-9]/ });
    await expect(ring).toBeVisible();
  });

  test('pauses, and steps by exactly one event', async () => {
    const { page } = platter;
    await page.getByTestId('run').click();
    await expect(page.getByTestId('lab-state')).toHaveAttribute('data-state', 'paused');
    await page.waitForTimeout(600);
    const still = await eventTotal(page);
    await page.waitForTimeout(600);
    expect(await eventTotal(page)).toBe(still);
    for (const steps of [1, 2, 3]) {
      await page.getByTestId('step-event').click();
      await expect.poll(() => eventTotal(page)).toBe(still + steps);
    }
    const done = await requestsDone(page);
    await page.getByTestId('step-request').click();
    await expect.poll(() => requestsDone(page)).toBeGreaterThan(done);
    await accessible(page);
    await screens(platter, 'main-job-3-paused');
  });

  test('runs on to the end', async () => {
    const { page } = platter;
    await chooseIn(page, page.getByRole('combobox', { name: 'Speed' }), 'Full');
    await page.getByTestId('run').click();
    await expect(page.getByTestId('lab-state')).toHaveAttribute('data-state', 'finished', {
      timeout: 30_000,
    });
    await expect.poll(() => requestsDone(page)).toBe(WORKLOAD.numberIos);
    await screens(platter, 'main-job-4-finished');
    await platter.close();
  });

  test('left an image that qemu-img finds sound and that holds what the guest wrote', () => {
    const report = JSON.parse(
      execFileSync('qemu-img', ['check', '--output=json', '-f', 'qcow2', file], { encoding: 'utf8' }),
    ) as Record<string, number>;
    expect(report['check-errors']).toBe(0);
    expect(report['corruptions'] ?? 0).toBe(0);
    expect(report['leaks'] ?? 0).toBe(0);

    const raw = folder.at('after.raw');
    execFileSync('qemu-img', ['convert', '-f', 'qcow2', '-O', 'raw', file, raw]);
    expect(differingBlocks(readFileSync(raw), expected())).toEqual([]);
  });
});

/** The disk as it must be: what stood there, and the seed's pattern wherever the workload wrote. */
function expected(): Buffer {
  const disk = Buffer.alloc(DISK);
  disk.fill(BEFORE, 0, 1024 * 1024);
  const generator = new WorkloadGenerator(WORKLOAD, DISK);
  const request = { op: 0, offset: 0, bytes: 0 };
  while (generator.next(request))
    fillPattern(
      new DataView(disk.buffer, disk.byteOffset + request.offset, request.bytes),
      request.offset,
      WORKLOAD.seed,
    );
  return disk;
}

/** Byte offsets of the blocks of 4 KiB that differ, the first ten. */
function differingBlocks(found: Buffer, wanted: Buffer): number[] {
  const offsets: number[] = [];
  expect(found.length).toBe(wanted.length);
  for (let at = 0; at < wanted.length && offsets.length < 10; at += 4096)
    if (found.compare(wanted, at, at + 4096, at, at + 4096) !== 0) offsets.push(at);
  return offsets;
}

async function interrupts(page: Launched['page']): Promise<number> {
  const label = await page.getByRole('img', { name: /interrupts so far/ }).getAttribute('aria-label');
  return Number.parseInt(label ?? '0', 10);
}

async function requestsDone(page: Launched['page']): Promise<number> {
  return Number(await page.getByTestId('requests-done').getAttribute('data-done'));
}
