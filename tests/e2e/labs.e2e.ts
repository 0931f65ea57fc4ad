/** A lab in a process of its own: built, run, stepped, watched through its port; what happens when its process dies. */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { expect, test } from '@playwright/test';
import type { LabConfig, LabFrame, LabFrameRequest, LabStatus } from '#contract/lab.ts';
import type { BindingMode } from '#contract/settings.ts';
import { launch, workerPids, type Launched } from './support/app.ts';
import { ImageFolder } from './support/images.ts';

const LINE =
  '-device virtio-blk-pci,bus=pci.0,addr=0x9,drive=d0,id=disk0 -drive file=vm.img,if=none,id=d0,format=qcow2';
const images = new ImageFolder();
let platter: Launched;
let path: string;
let handle: string;

test.beforeAll(async () => {
  path = images.create('vm.qcow2', 'qcow2', { pattern: 0x5a });
  platter = await launch({ files: [path] });
  ({ handle } = await platter.image((image) => image.info !== undefined));
  await platter.page.evaluate(watchLabs);
});
test.afterAll(async () => {
  await platter.close();
  images.remove();
});

function config(mode: BindingMode, workload: Partial<LabConfig['workload']> = {}): LabConfig {
  return {
    line: LINE,
    bindings: [{ driveId: 'd0', image: handle, mode }],
    qemuVersion: '7.2',
    workload: {
      rw: 'randwrite',
      bs: 4096,
      iodepth: 8,
      numberIos: 200,
      offset: 0,
      size: 0,
      rwmixread: 50,
      seed: 7,
      fsync: 0,
      ...workload,
    },
  };
}

async function create(options: LabConfig): Promise<LabStatus> {
  const answer = await platter.call('lab.create', options);
  if (!answer.ok) throw new Error(answer.error.message);
  return answer.value;
}

/** The newest status that the page was told. */
function status(id: string): Promise<LabStatus | undefined> {
  return platter.page.evaluate((lab) => (window as unknown as Watching).labStatus[lab], id);
}

function frame(id: string, request: Partial<LabFrameRequest> = {}): Promise<FrameSummary> {
  const whole: LabFrameRequest = { seq: 1, from: -1, count: 50, requestId: null, queue: 0, ...request };
  return platter.page.evaluate(([lab, wanted]) => (window as unknown as Watching).labFrame(lab, wanted), [
    id,
    whole,
  ] as const);
}

test('runs through the virtqueue to the end, and the page sees rings, interrupts and events through the port', async () => {
  const lab = await create(config('overlay'));
  expect(lab).toMatchObject({ state: 'ready', process: 'running', device: 'virtio-blk-pci disk0' });
  expect(await platter.call('lab.run', lab.id)).toEqual({ ok: true, value: null });
  await expect.poll(async () => (await status(lab.id))?.state).toBe('finished');
  const seen = await frame(lab.id);
  expect(seen).toMatchObject({
    status: 'finished',
    requests: 200,
    writes: 200,
    bytes: 200 * 4096,
    errors: 0,
  });
  expect(seen.rows).toBe(50);
  expect(seen.queueSize).toBeGreaterThan(0);
  expect(seen.usedIdx).toBe(200);
  expect(seen.interrupts).toBeGreaterThan(0);
  await platter.call('lab.close', lab.id);
});

test('an overlay leaves the file as it was; a write is in it, and qemu-img finds nothing wrong', async () => {
  const digest = (): string => createHash('sha256').update(readFileSync(path)).digest('hex');
  const before = digest();
  const over = await create(config('overlay'));
  await platter.call('lab.run', over.id);
  await expect.poll(async () => (await status(over.id))?.state).toBe('finished');
  await platter.call('lab.close', over.id);
  expect(digest()).toBe(before);

  const write = await create(
    config('write', { rw: 'write', bs: 65_536, numberIos: 16, offset: 8 << 20, size: 1 << 20 }),
  );
  const second = await platter.call('lab.create', config('overlay'));
  expect(second).toMatchObject({ ok: false, error: { code: 'lab.image-in-use' } });
  await platter.call('lab.run', write.id);
  await expect.poll(async () => (await status(write.id))?.state).toBe('finished');
  await platter.call('lab.close', write.id);
  execFileSync('qemu-img', ['check', '-q', path]);
  const map = JSON.parse(execFileSync('qemu-img', ['map', '--output=json', path], { encoding: 'utf8' })) as {
    start: number;
    length: number;
    data: boolean;
  }[];
  const written = map.filter((extent) => extent.data && extent.start >= 8 << 20);
  expect(written.reduce((sum, extent) => sum + extent.length, 0)).toBe(1 << 20);
  // What the image's own process tells is as new as the file.
  await platter.image((image) => image.info !== undefined && image.process === 'running', handle);
  const guest = await platter.call('images.read', handle, 'guest', 8 << 20, 4096);
  const disk = execFileSync('qemu-io', ['-r', '-c', 'read -v 8M 16', path], { encoding: 'utf8' });
  expect(guest.ok).toBe(true);
  const first = guest.ok ? Buffer.from(guest.value.slice(0, 16)).toString('hex').match(/../g)?.join(' ') : '';
  expect(disk).toContain(first);
});

test('goes one event at a time, and pauses', async () => {
  const lab = await create(config('overlay', { numberIos: 0 }));
  const before = await frame(lab.id);
  await platter.call('lab.step', lab.id, 'event');
  const after = await frame(lab.id);
  expect(after.totalEvents).toBeGreaterThan(before.totalEvents);
  await platter.call('lab.step', lab.id, 'request');
  expect((await frame(lab.id)).requests).toBe(1);
  await platter.call('lab.run', lab.id);
  await expect.poll(async () => (await frame(lab.id)).requests).toBeGreaterThan(100);
  await platter.call('lab.pause', lab.id);
  await expect.poll(async () => (await status(lab.id))?.state).toBe('paused');
  const paused = await frame(lab.id);
  expect((await frame(lab.id)).totalEvents).toBe(paused.totalEvents);
  await platter.call('lab.close', lab.id);
  expect(await platter.call('lab.run', lab.id)).toMatchObject({ ok: false, error: { code: 'lab.unknown' } });
});

test('a lab whose process dies says so; the image and the next lab are well', async () => {
  const lab = await create(config('overlay', { numberIos: 0 }));
  await platter.call('lab.run', lab.id);
  const pids = await workerPids(platter.app);
  process.kill(pids[`platter-lab ${lab.id}`], 'SIGKILL');
  await expect.poll(async () => (await status(lab.id))?.process).toBe('crashed');
  expect(await status(lab.id)).toMatchObject({ state: 'failed', error: { code: 'process.crashed' } });
  const read = await platter.call('images.read', handle, 'guest', 0, 1);
  expect(read.ok && read.value[0]).toBe(0x5a);
  await platter.call('lab.close', lab.id);

  const next = await create(config('overlay', { numberIos: 10 }));
  await platter.call('lab.run', next.id);
  await expect.poll(async () => (await status(next.id))?.state).toBe('finished');
  await platter.call('lab.close', next.id);
  expect(Object.keys(await workerPids(platter.app))).toEqual([`platter-image ${handle}`]);
});

test('a lab that hangs says so, and is well again when it goes on', async () => {
  const lab = await create(config('overlay', { numberIos: 10 }));
  const pid = (await workerPids(platter.app))[`platter-lab ${lab.id}`];
  process.kill(pid, 'SIGSTOP');
  await expect.poll(async () => (await status(lab.id))?.process).toBe('hung');
  expect((await status(lab.id))?.error).toMatchObject({ code: 'process.hung' });
  process.kill(pid, 'SIGCONT');
  await expect.poll(async () => (await status(lab.id))?.process).toBe('running');
  await platter.call('lab.run', lab.id);
  await expect.poll(async () => (await status(lab.id))?.state).toBe('finished');
  await platter.call('lab.close', lab.id);
});

test('saves the trace where the person says', async () => {
  const lab = await create(config('overlay', { numberIos: 20 }));
  await platter.call('lab.run', lab.id);
  await expect.poll(async () => (await status(lab.id))?.state).toBe('finished');
  const target = images.at('trace.jsonl');
  await platter.app.evaluate(({ dialog }, file) => {
    dialog.showSaveDialog = () => Promise.resolve({ canceled: false, filePath: file });
  }, target);
  expect(await platter.call('lab.saveTrace', lab.id)).toEqual({ ok: true, value: true });
  const lines = readFileSync(target, 'utf8').trimEnd().split('\n');
  const { totalEvents } = await frame(lab.id);
  expect(lines).toHaveLength(totalEvents + 1);
  expect(lines.some((line) => line.includes('"virtio_notify_irqfd"'))).toBe(true);
  await platter.app.evaluate(({ dialog }) => {
    dialog.showSaveDialog = () => Promise.resolve({ canceled: true, filePath: '' });
  });
  expect(await platter.call('lab.saveTrace', lab.id)).toEqual({ ok: true, value: false });
  await platter.call('lab.close', lab.id);
});

test('a line that cannot be built is refused at its place, and leaves no process', async () => {
  const broken = { ...config('overlay'), line: '-device "virtio-blk-pci,drive=d0' };
  expect(await platter.call('lab.create', broken)).toMatchObject({
    ok: false,
    error: { code: 'lab.broken-line' },
  });
  const unbound = { ...config('overlay'), bindings: [] };
  expect(await platter.call('lab.create', unbound)).toMatchObject({
    ok: false,
    error: { code: 'lab.unbound-drive', context: { value: 'd0' } },
  });
  expect(Object.keys(await workerPids(platter.app))).toEqual([`platter-image ${handle}`]);
});

test('labs end with the page that shows them', async () => {
  const lab = await create(config('overlay', { numberIos: 0 }));
  await platter.call('lab.run', lab.id);
  await platter.page.reload();
  await expect
    .poll(async () => Object.keys(await workerPids(platter.app)))
    .toEqual([`platter-image ${handle}`]);
});

interface FrameSummary {
  status: string;
  totalEvents: number;
  requests: number;
  writes: number;
  bytes: number;
  errors: number;
  interrupts: number;
  rows: number;
  queueSize: number;
  usedIdx: number;
}

interface Watching {
  labStatus: Record<string, LabStatus>;
  labFrame(lab: string, request: LabFrameRequest): Promise<FrameSummary>;
}

/** Runs in the page: keeps what it is told of labs, and their ports. */
function watchLabs(): void {
  const ports = new Map<string, MessagePort>();
  const page = window as unknown as Watching & {
    platter: { on(name: string, listener: (status: LabStatus) => void): void };
  };
  page.labStatus = {};
  page.platter.on('lab.changed', (changed) => {
    page.labStatus[changed.id] = changed;
  });
  addEventListener('message', (event: MessageEvent<{ tag?: string; lab?: string } | undefined>) => {
    if (event.data?.tag === 'platter:lab-port') ports.set(event.data.lab ?? '', event.ports[0]);
  });
  page.labFrame = (lab, request) => {
    const port = ports.get(lab);
    if (port === undefined) return Promise.reject(new Error('this lab has no port'));
    return new Promise((resolve) => {
      port.addEventListener(
        'message',
        ({ data }: MessageEvent<LabFrame>) => {
          resolve({
            status: data.status,
            totalEvents: data.totalEvents,
            requests: data.counters.requests,
            writes: data.counters.writes,
            bytes: data.counters.bytes,
            errors: data.counters.errors,
            interrupts: data.counters.interrupts,
            rows: data.rowNumbers.length,
            queueSize: data.queue?.size ?? 0,
            usedIdx: data.queue?.used.idx ?? 0,
          });
        },
        { once: true },
      );
      port.start();
      port.postMessage(request);
    });
  };
}
