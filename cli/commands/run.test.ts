/** `platter run`: what the simulated guest wrote is read back with the real qemu-io, on images that the real qemu-img made. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import { fillPattern } from '#engine/guest/workload.ts';
import { loadTrace } from '#engine/trace/save.ts';
import { qemuImg, workFolder } from '../testing/qemu-img.ts';
import { platter, pressControlC } from '../testing/run-command.ts';

const { folder, remove } = workFolder();
afterAll(remove);

const image = join(folder, 'disk.qcow2');
const line = join(folder, 'line');
const device = '-device virtio-blk-pci,drive=d0,id=disk0';

beforeEach(() => {
  qemuImg(folder, 'create', '-q', '-f', 'qcow2', image, '16M');
  writeFileSync(line, `qemu-system-x86_64 -drive file=${image},if=none,id=d0,format=qcow2 ${device}\n`);
});

it('runs the workload and says what happened', async () => {
  const ran = await platter([
    'run',
    '--line',
    line,
    '--rw',
    'randrw',
    '--iodepth',
    '8',
    '--number-ios',
    '500',
    '--json',
  ]);
  expect(ran).toMatchObject({ code: 0, err: '' });
  const result = JSON.parse(ran.out);
  expect(result).toMatchObject({
    device: 'virtio-blk-pci disk0',
    drive: 'd0',
    image,
    state: 'finished',
    written_to: 'memory',
  });
  expect(result.counters).toMatchObject({ requests: 500, bytes: 500 * 4096, errors: 0 });
  expect(result.counters.reads + result.counters.writes).toBe(500);
  expect(result.stations).toHaveLength(14);
  expect(result.stations.every(({ events }: { events: number }) => events > 0)).toBe(true);
});

it('does the same twice with the same seed, and something else with another', async () => {
  const work = ['run', '--line', line, '--rw', 'randrw', '--number-ios', '200', '--json'];
  const counters = async (...more: string[]): Promise<unknown> =>
    JSON.parse((await platter([...work, ...more])).out).counters.reads;
  const first = await counters('--randseed', '7');
  expect(await counters('--randseed', '7')).toBe(first);
  const others = await Promise.all(['8', '9', '10'].map((seed) => counters('--randseed', seed)));
  expect(others.some((reads) => reads !== first)).toBe(true);
});

it('leaves the image as it was unless --write is given', async () => {
  const before = readFileSync(image);
  const words = ['run', '--line', line, '--rw', 'write', '--bs', '64k', '--number-ios', '256', '--json'];
  expect((await platter(words)).code).toBe(0);
  expect(readFileSync(image).equals(before)).toBe(true);

  expect(JSON.parse((await platter([...words, '--write'])).out)).toMatchObject({
    written_to: 'image',
    state: 'finished',
  });
  expect(qemuImg(folder, 'check', image)).toContain('No errors were found');
  // 256 times 64 KiB: the whole disk is written.
  const map = JSON.parse(qemuImg(folder, 'map', '--output=json', image));
  expect(map.every(({ data, zero }: { data: boolean; zero: boolean }) => data && !zero)).toBe(true);
});

it('saves a trace that can be loaded, with every request in it', async () => {
  const trace = join(folder, 'run.jsonl');
  const ran = await platter(['run', '--line', line, '--number-ios', '50', '--trace', trace, '--json']);
  const lines = readFileSync(trace, 'utf8').trimEnd().split('\n');
  expect(loadTrace(lines).total).toBe(JSON.parse(ran.out).trace.events);
  const requests = new Set(lines.slice(1).map((text) => JSON.parse(text).request));
  for (let id = 1; id <= 50; id += 1) expect(requests).toContain(id);
});

it('binds another image to the drive', async () => {
  writeFileSync(
    line,
    `qemu-system-x86_64 -drive file=/nowhere/vm.img,if=none,id=d0,format=qcow2 ${device}\n`,
  );
  for (const binding of [`d0=${image}`, image]) {
    const ran = await platter(['run', '--line', line, '--image', binding, '--number-ios', '5', '--json']);
    expect(JSON.parse(ran.out).image).toBe(image);
  }
  const unbound = await platter(['run', '--line', line]);
  expect(unbound).toMatchObject({ code: 1, out: '' });
  expect(unbound.err).toContain('/nowhere/vm.img: "vm.img" does not exist');
});

it('prints the path of a request for people', async () => {
  const ran = await platter(['run', '--line', line, '--number-ios', '10', '--rw', 'read']);
  expect(ran.out).toContain('virtio-blk-pci disk0 on d0');
  expect(ran.out).toMatch(/requests +10: 10 reads, 0 writes, 0 flushes, 0 failed; 40 KiB/);
  expect(ran.out).toMatch(/^ +1 Program +10 +14 Program.* 10$/m);
});

describe('several disks', () => {
  const second = (): string => join(folder, 'second.qcow2');
  beforeEach(() => {
    qemuImg(folder, 'create', '-q', '-f', 'qcow2', second(), '2M');
    writeFileSync(
      line,
      `qemu-system-x86_64 -drive file=${image},if=none,id=d0,format=qcow2 -drive file=${second()},if=none,id=d1,format=qcow2 ` +
        '-device virtio-scsi-pci,id=s0 -device scsi-hd,drive=d0,id=disk0 -device scsi-hd,drive=d1,id=disk1\n',
    );
  });

  it.each([[['--device', 'disk0', '--device', 'd1']], [['--device', 'all']]])('%j', async (words) => {
    const run = [
      'run',
      '--line',
      line,
      '--rw',
      'write',
      '--size',
      '1M',
      '--number-ios',
      '256',
      '--write',
      ...words,
    ];
    const ran = await platter([...run, '--json']);
    expect(ran.code).toBe(0);
    const { disks, counters } = JSON.parse(ran.out);
    expect(
      disks.map(({ device: name, drive }: { device: string; drive: string }) => `${name} ${drive}`),
    ).toEqual(['scsi-hd disk0 d0', 'scsi-hd disk1 d1']);
    expect(disks.map((disk: { counters: { writes: number } }) => disk.counters.writes)).toEqual([256, 256]);
    expect(counters.requests).toBe(512);
    // Each image holds the data of its own disk, as qemu-img finds it.
    [image, second()].forEach((path, index) => {
      const bytes = new Uint8Array(1024 * 1024);
      fillPattern(new DataView(bytes.buffer), 0, 1 + index);
      const expected = join(folder, 'expected.raw');
      writeFileSync(expected, bytes);
      const found = join(folder, 'found.raw');
      qemuImg(folder, 'dd', '-f', 'qcow2', '-O', 'raw', 'bs=1M', 'count=1', `if=${path}`, `of=${found}`);
      expect(qemuImg(folder, 'compare', '-f', 'raw', '-F', 'raw', expected, found)).toContain('identical');
    });
    expect((await platter(run)).out).toMatch(/^ {2}scsi-hd disk1 +256 requests, 1 MiB; .* each, /m);
  });
});

it('prints what happened until Ctrl-C', async () => {
  const ended = platter(['run', '--line', line, '--number-ios', '0', '--json']);
  await pressControlC();
  const ran = await ended;
  expect(ran.code).toBe(130);
  expect(JSON.parse(ran.out).counters.requests).toBeGreaterThan(0);
});

describe('what is refused', () => {
  it('a line that QEMU would refuse, with the places', async () => {
    writeFileSync(line, `qemu-system-x86_64 -drive file=${image},if=none,id=d1,format=qcow2 ${device}\n`);
    const ran = await platter(['run', '--line', line]);
    expect(ran).toMatchObject({ code: 1, out: '' });
    expect(ran.err).toContain(`${line}:1:`);
    expect(ran.err).toContain('Did you mean d1?');
  });

  it.each([
    [['--rw', 'ranread'], "did you mean 'randread'?"],
    [['--iodepth', '0'], "option '--iodepth' cannot be '0'"],
    [['--bs', 'x'], "option '--bs' cannot be 'x'"],
  ])('%j', async (words, message) => {
    const ran = await platter(['run', '--line', line, ...words]);
    expect(ran).toMatchObject({ code: 2, out: '' });
    expect(ran.err).toContain(message);
  });

  it('a run without a line', async () => {
    expect((await platter(['run'])).err).toContain('--line FILE');
  });

  it('a device that is not there, or that the laboratory does not have', async () => {
    expect((await platter(['run', '--line', line, '--device', 'disk9'])).err).toContain('disk9');
    writeFileSync(
      line,
      `qemu-system-x86_64 -drive file=${image},if=none,id=d0,format=qcow2 -device nvme,drive=d0,serial=s,id=disk0\n`,
    );
    const ran = await platter(['run', '--line', line]);
    expect(ran).toMatchObject({ code: 1, out: '' });
    expect(ran.err).toContain('nvme');
  });

  it('a trace where none can be written; no half one is left', async () => {
    const trace = join(folder, 'no-folder/run.jsonl');
    const ran = await platter(['run', '--line', line, '--number-ios', '5', '--trace', trace]);
    expect(ran.code).toBe(1);
    expect(ran.err).toContain(`cannot write ${trace}: no such file or directory`);
    expect(existsSync(`${trace}.part`)).toBe(false);
  });
});
