import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { JobRequest, JobRow } from '#contract/jobs.ts';
import type { JobSecrets } from '#contract/secrets.ts';
import { Notices } from '../notices.ts';
import type { WorkerPort } from '../processes/port.ts';
import type { FromWorker, ToWorker } from '../processes/protocol.ts';
import { Supervisor } from '../processes/supervisor.ts';
import { Store } from '../store/store.ts';
import { historySchema, type JobHistory } from './history.ts';
import { Jobs } from './jobs.ts';
import { Targets } from './targets.ts';
import { CANCEL_MS, SILENT_MS } from './work.ts';

const DISK = 'img-00000000000000aa';
const OVERLAY = 'img-00000000000000bb';

/** A job's process that does what the test tells it to. */
class FakePort implements WorkerPort {
  readonly posted: ToWorker[] = [];
  #message: (message: FromWorker) => void = () => undefined;
  #exit: (reason: string) => void = () => undefined;
  pid(): number {
    return 7;
  }
  post(message: ToWorker): void {
    this.posted.push(message);
  }
  onMessage(listener: (message: FromWorker) => void): void {
    this.#message = listener;
  }
  onExit(listener: (reason: string) => void): void {
    this.#exit = listener;
  }
  kill(): void {
    this.#exit('code 137');
  }
  says(message: FromWorker): void {
    this.#message(message);
  }
  answers(
    name: string,
    result: FromWorker & { kind: 'result' } extends { result: infer R } ? R : never,
  ): void {
    const call = this.posted.find((message) => message.kind === 'call' && message.name === name);
    if (call?.kind !== 'call') throw new Error(`${name} was not called`);
    this.says({ kind: 'result', id: call.id, result });
  }
}

let folder: string;
let ports: FakePort[];
let log: string[];
let ended: JobRow[];
let lab: { uses: string[]; writes: string[] };
let stores: Store<JobHistory>[];
let supervisor: Supervisor;
let targets: Targets;
let jobs: Jobs;
const at = (name: string): string => join(folder, name);
const flush = () => vi.advanceTimersByTimeAsync(0);

function make(): Jobs {
  const store = Store.open(at('jobs.json'), historySchema, new Notices(() => undefined));
  stores.push(store);
  return new Jobs({
    supervisor,
    targets,
    store,
    ask: () => Promise.resolve(false),
    images: {
      path: (handle) => at(handle === DISK ? 'disk.qcow2' : 'overlay.qcow2'),
      info: (handle) =>
        ({ format: 'qcow2', ...(handle === OVERLAY ? { backingFilename: 'disk.qcow2' } : {}) }) as never,
      attach: (path) => {
        log.push(`attach ${path.slice(folder.length + 1)}`);
        return path.endsWith('disk.qcow2') ? DISK : OVERLAY;
      },
      passphrases: (paths) => (paths.includes(at('disk.qcow2')) ? { [at('disk.qcow2')]: 'of the disk' } : {}),
      keep: (path, passphrase) => void log.push(`keep ${path.slice(folder.length + 1)} ${passphrase}`),
      files: () => [
        { handle: DISK, path: at('disk.qcow2') },
        { handle: OVERLAY, path: at('overlay.qcow2') },
      ],
      hold: async (handles) => void log.push(`hold ${handles.join()}`),
      release: async (handles) => void log.push(`release ${handles.join()}`),
    },
    labs: () => lab,
    changed: () => undefined,
    progress: () => undefined,
    ended: (row) => ended.push(row),
    trouble: (error) => log.push(String(error)),
  });
}

beforeEach(() => {
  vi.useFakeTimers();
  folder = mkdtempSync(join(tmpdir(), 'platter-jobs-'));
  writeFileSync(at('disk.qcow2'), '');
  writeFileSync(at('overlay.qcow2'), '');
  ports = [];
  log = [];
  stores = [];
  ended = [];
  lab = { uses: [], writes: [] };
  targets = new Targets('/home/someone');
  supervisor = new Supervisor(
    () => {
      const port = new FakePort();
      ports.push(port);
      return port;
    },
    () => new Map(),
    () => undefined,
  );
  jobs = make();
});
afterEach(async () => {
  await supervisor.endAll();
  vi.useRealTimers();
  await Promise.all(stores.map((store) => store.settled()));
  rmSync(folder, { recursive: true, force: true });
});

const snapshot: JobRequest = { kind: 'snapshot', image: DISK, action: 'create', name: 'now' };
const checksum = (image: string): JobRequest => ({ kind: 'checksum', image, algorithm: 'sha256' });
function convert(name: string, more: object = {}): JobRequest {
  return {
    kind: 'convert',
    image: DISK,
    target: targets.give(at(name)).handle,
    format: 'raw',
    options: {},
    compressed: false,
    overwrite: false,
    attach: true,
    ...more,
  };
}
const started = async (request: JobRequest, secrets: JobSecrets = {}): Promise<string> => {
  const id = jobs.start(request, secrets);
  await flush();
  return id;
};

describe('images that a job writes', () => {
  it('are closed before it and opened after it, those above them too', async () => {
    await started(snapshot);
    expect(log).toEqual([`hold ${DISK},${OVERLAY}`]);
    ports[0].answers('run', { ok: true, value: { kind: 'done' } });
    await flush();
    expect(log).toEqual([`hold ${DISK},${OVERLAY}`, `release ${DISK},${OVERLAY}`]);
    expect(jobs.list()[0]).toMatchObject({ state: 'done', result: { kind: 'done' } });
  });

  it('belong to one job at a time; readers may share', async () => {
    await started(checksum(DISK));
    await started(checksum(OVERLAY));
    expect(() => jobs.start(snapshot)).toThrow(expect.objectContaining({ code: 'job.image-in-job' }));
    ports.forEach((port) => port.answers('run', { ok: true, value: { kind: 'done' } }));
    await flush();
    await started(snapshot);
    // The overlay reads through the disk that is being written.
    expect(() => jobs.start(checksum(OVERLAY))).toThrow(
      expect.objectContaining({
        code: 'job.image-in-job',
        context: expect.objectContaining({ image: 'disk.qcow2' }),
      }),
    );
    expect(() => jobs.admitLab([OVERLAY], [])).toThrow(expect.objectContaining({ code: 'job.image-in-job' }));
  });

  it('are refused by name while a lab uses them', () => {
    lab = { uses: [DISK], writes: [DISK] };
    for (const request of [snapshot, checksum(DISK), checksum(OVERLAY)]) {
      expect(() => jobs.start(request)).toThrow(
        expect.objectContaining({
          code: 'job.image-in-lab',
          context: expect.objectContaining({ image: 'disk.qcow2' }),
        }),
      );
    }
    lab = { uses: [OVERLAY], writes: [] };
    expect(() => jobs.start(snapshot)).toThrow(expect.objectContaining({ code: 'job.image-in-lab' }));
    expect(() => jobs.start(checksum(DISK))).not.toThrow();
  });
});

describe('a new image', () => {
  it('is attached when it is there', async () => {
    await started(convert('copy.raw'));
    ports[0].answers('run', { ok: true, value: { kind: 'file', size: 5 } });
    await flush();
    expect(log).toContain('attach copy.raw');
    expect(ended[0].result).toEqual({ kind: 'file', size: 5, attached: OVERLAY });
  });

  it('never replaces a file that nobody agreed to lose, nor what it is made of', () => {
    writeFileSync(at('there.raw'), 'x');
    expect(() => jobs.start(convert('there.raw'))).toThrow(
      expect.objectContaining({ code: 'job.target-exists' }),
    );
    expect(() => jobs.start(convert('disk.qcow2', { overwrite: true }))).toThrow(
      expect.objectContaining({ code: 'job.same-file' }),
    );
    expect(() => jobs.start(convert('there.raw', { overwrite: true }))).not.toThrow();
  });

  it('leaves nothing half done when its process dies, and touches no other file', async () => {
    writeFileSync(at('.copy.raw.000000000001.part'), 'from before');
    await started(convert('copy.raw'));
    writeFileSync(at('.copy.raw.0123456789ab.part'), 'half');
    writeFileSync(at('copy-flat.vmdk'), 'half');
    ports[0].kill();
    await flush();
    expect(jobs.list()[0]).toMatchObject({
      state: 'failed',
      left: 'nothing',
      error: { code: 'job.crashed' },
    });
    expect(() => readFileSync(at('.copy.raw.0123456789ab.part'))).toThrow('ENOENT');
    expect(() => readFileSync(at('copy-flat.vmdk'))).toThrow('ENOENT');
    expect(readFileSync(at('.copy.raw.000000000001.part'), 'utf8')).toBe('from before');
  });
});

describe('an end', () => {
  it('by cancelling: asked first, ended by force when it does not listen', async () => {
    const id = await started(convert('copy.raw'));
    jobs.cancel(id);
    await flush();
    expect(jobs.list()[0].state).toBe('cancelling');
    expect(ports[0].posted.some((message) => message.kind === 'call' && message.name === 'cancel')).toBe(
      true,
    );
    await vi.advanceTimersByTimeAsync(CANCEL_MS);
    expect(jobs.list()[0]).toMatchObject({ state: 'cancelled', left: 'nothing' });
    expect(jobs.list()[0].error).toBeUndefined();
  });

  it('by silence: said after seconds, failed after minutes', async () => {
    await started(snapshot);
    ports[0].says({ kind: 'ready' });
    await vi.advanceTimersByTimeAsync(10_000);
    expect(jobs.list()[0].silent).toBe(true);
    await vi.advanceTimersByTimeAsync(SILENT_MS);
    expect(jobs.list()[0]).toMatchObject({
      state: 'failed',
      left: 'unfinished',
      error: { code: 'job.hung' },
    });
    expect(log.at(-1)).toBe(`release ${DISK},${OVERLAY}`);
  });
});

describe('the history', () => {
  it('survives, keeps no passphrase, and starts again with the handles of now', async () => {
    const id = await started(convert('copy.raw', { format: 'luks' }), { target: 'secret' });
    // The process gets it in its one call; what the page and the history see has no place for it.
    const call = ports[0].posted.find((message) => message.kind === 'call');
    expect(call).toMatchObject({
      args: [{ secrets: { target: 'secret' }, passphrases: { [at('disk.qcow2')]: 'of the disk' } }],
    });
    expect(JSON.stringify(jobs.list())).not.toMatch(/secret'|"secret"|of the disk/);
    ports[0].answers('run', { ok: true, value: { kind: 'file', size: 5 } });
    await flush();
    expect(log).toContain('keep copy.raw secret');
    const running = await started(checksum(DISK));
    vi.useRealTimers();
    await vi.waitFor(() => expect(readFileSync(at('jobs.json'), 'utf8')).toContain(running));
    expect(readFileSync(at('jobs.json'), 'utf8')).not.toMatch(/"secret"|of the disk/);
    targets = new Targets('/home/someone');
    const next = make();
    const [interrupted, past] = next.list();
    expect(interrupted).toMatchObject({ id: running, state: 'failed', error: { code: 'job.interrupted' } });
    expect(past).toMatchObject({ id, state: 'done', past: true, result: { kind: 'file', size: 5 } });
    const again = next.again(id);
    expect(again.target).toMatchObject({ name: 'copy.raw', exists: false });
    expect(again.request).toMatchObject({ kind: 'convert', image: DISK, target: again.target?.handle });
    expect(targets.path(again.target?.handle ?? '')).toBe(at('copy.raw'));
  });
});
