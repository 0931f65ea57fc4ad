import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { ProcessRow } from '#contract/calls.ts';
import type { ProcessState } from '#contract/images.ts';
import type { WorkerPort } from './port.ts';
import type { FromWorker, ToWorker } from './protocol.ts';
import { HEARTBEAT_MS, MOST_MEMORY, Supervisor } from './supervisor.ts';
import type { WorkerEvents } from './worker.ts';

/** A process that does what the test tells it to. */
class FakePort implements WorkerPort {
  readonly posted: ToWorker[] = [];
  killed = 0;
  /** Answers heartbeats. */
  answers = true;
  static next = 100;
  readonly #pid = FakePort.next++;
  pid(): number {
    return this.#pid;
  }
  #message: (message: FromWorker) => void = () => undefined;
  #exit: (reason: string) => void = () => undefined;

  post(message: ToWorker): void {
    this.posted.push(message);
    if (message.kind === 'ping' && this.answers) this.says({ kind: 'pong' });
  }
  onMessage(listener: (message: FromWorker) => void): void {
    this.#message = listener;
  }
  onExit(listener: (reason: string) => void): void {
    this.#exit = listener;
  }
  kill(): void {
    this.killed++;
    this.exits('code 137');
  }
  says(message: FromWorker): void {
    this.#message(message);
  }
  exits(reason: string): void {
    this.#exit(reason);
  }
}

let ports: FakePort[];
let rows: ProcessRow[];
let supervisor: Supervisor;
let memory: Map<number, number>;
beforeEach(() => {
  vi.useFakeTimers();
  ports = [];
  memory = new Map();
  supervisor = new Supervisor(
    () => {
      const port = new FakePort();
      ports.push(port);
      return port;
    },
    () => memory,
    (now) => (rows = now),
  );
});
afterEach(async () => {
  await supervisor.endAll();
  vi.useRealTimers();
});

function events(over: Partial<WorkerEvents> = {}) {
  const states: ProcessState[] = [];
  return {
    states,
    state: (s: ProcessState) => void states.push(s),
    ask: () => Promise.resolve(false),
    ...over,
  };
}
const image = { handle: 'img-1', path: '/a.img' };
const seconds = (n: number) => vi.advanceTimersByTime(n * HEARTBEAT_MS);

describe('Supervisor', () => {
  it('shows a process as starting until it says something', () => {
    supervisor.start('image', 'img-1', 'a.img', events());
    expect(rows).toEqual([{ kind: 'image', id: 'img-1', name: 'a.img', state: 'starting' }]);
    ports[0].says({ kind: 'ready' });
    expect(rows[0].state).toBe('running');
  });

  it('matches answers to calls, in whatever order they come', async () => {
    const worker = supervisor.start('image', 'img-1', 'a.img', events());
    const first = worker.call('map', [0, 10]);
    const second = worker.call('check', []);
    ports[0].says({ kind: 'result', id: 2, result: { ok: true, value: 'second' } });
    const error = { code: 'qcow2.x', message: 'bad', context: { offset: 8 } };
    ports[0].says({ kind: 'result', id: 1, result: { ok: false, error } });
    expect(await second).toBe('second');
    await expect(first).rejects.toMatchObject(error);
  });

  it('a crash rejects the calls of that process and leaves the other alone', async () => {
    const [a, b] = [events(), events()];
    const one = supervisor.start('image', 'img-1', 'a.img', a);
    const two = supervisor.start('image', 'img-2', 'b.img', b);
    for (const port of ports) port.says({ kind: 'ready' });
    const lost = one.call('check', []);
    const kept = two.call('check', []);
    ports[0].exits('code 139');
    await expect(lost).rejects.toMatchObject({
      code: 'process.crashed',
      context: { image: 'a.img', value: 'code 139' },
    });
    await expect(one.call('check', [])).rejects.toMatchObject({ code: 'process.crashed' });
    expect(one.trouble?.code).toBe('process.crashed');
    expect(rows.map((row) => row.state)).toEqual(['crashed', 'running']);
    expect([a.states, b.states]).toEqual([['running', 'crashed'], ['running']]);
    ports[1].says({ kind: 'result', id: 1, result: { ok: true, value: 1 } });
    expect(await kept).toBe(1);
  });

  it('calls a process hung after five silent seconds, and well again when it answers', async () => {
    const seen = events();
    const worker = supervisor.start('image', 'img-1', 'a.img', seen);
    ports[0].says({ kind: 'ready' });
    seconds(100);
    expect(worker.state).toBe('running');
    ports[0].answers = false;
    const call = worker.call('check', []);
    seconds(4);
    expect(worker.state).toBe('running');
    seconds(2);
    expect(worker.state).toBe('hung');
    expect(worker.trouble?.code).toBe('process.hung');
    ports[0].says({ kind: 'result', id: 1, result: { ok: true, value: 'late' } });
    expect(await call).toBe('late');
    expect(worker.trouble).toBeUndefined();
    expect(seen.states).toEqual(['running', 'hung', 'running']);
  });

  it('gives a process that still loads its code half a minute', () => {
    const worker = supervisor.start('image', 'img-1', 'a.img', events());
    ports[0].answers = false;
    seconds(29);
    expect(worker.state).toBe('starting');
    seconds(3);
    expect(worker.state).toBe('hung');
  });

  it('ends a process that holds too much memory, says so, and leaves the others alone', async () => {
    const worker = supervisor.start('image', 'img-1', 'a.img', events());
    supervisor.start('image', 'img-2', 'b.img', events());
    for (const port of ports) port.says({ kind: 'ready' });
    const call = worker.call('check', []);
    for (const port of ports) memory.set(port.pid(), MOST_MEMORY.image);
    seconds(3);
    expect(rows.map((row) => row.state)).toEqual(['running', 'running']);
    memory.set(ports[0].pid(), MOST_MEMORY.image + 1024 * 1024);
    seconds(1);
    await expect(call).rejects.toMatchObject({
      code: 'process.too-much-memory',
      context: { image: 'a.img', value: '1025 MiB', expected: '1024 MiB' },
    });
    expect(rows.map((row) => row.state)).toEqual(['crashed', 'running']);
    expect(ports.map((port) => port.killed)).toEqual([1, 0]);
  });

  it('takes a leap of the clock (the machine slept) for one missed beat', () => {
    const worker = supervisor.start('image', 'img-1', 'a.img', events());
    ports[0].says({ kind: 'ready' });
    vi.setSystemTime(Date.now() + 3_600_000);
    seconds(1);
    expect(worker.state).toBe('running');
  });

  it('ends a process: calls are rejected, it leaves the list, no crash is shown', async () => {
    const seen = events();
    const worker = supervisor.start('image', 'img-1', 'a.img', seen);
    ports[0].says({ kind: 'ready' });
    const call = worker.call('check', []);
    const gone = supervisor.end('img-1');
    await expect(call).rejects.toMatchObject({ code: 'process.ended' });
    await gone;
    expect(ports[0].killed).toBe(1);
    expect(rows).toEqual([]);
    expect(seen.states).toEqual(['running', 'ended']);
  });

  it('takes a crashed process off the list too', async () => {
    supervisor.start('image', 'img-1', 'a.img', events());
    ports[0].exits('code 1');
    expect(rows).toHaveLength(1);
    await supervisor.end('img-1');
    expect(rows).toEqual([]);
    expect(ports[0].killed).toBe(0);
  });

  it('starts again under the same id: the old process is ended and what it still says counts for nothing', () => {
    const old = events();
    supervisor.start('image', 'img-1', 'a.img', old);
    ports[0].says({ kind: 'ready' });
    supervisor.start('image', 'img-1', 'a.img', events());
    expect(ports[0].killed).toBe(1);
    expect(rows.map((row) => row.state)).toEqual(['starting']);
    ports[0].says({ kind: 'pong' });
    expect(old.states).toEqual(['running', 'ended']);
    expect(rows.map((row) => row.state)).toEqual(['starting']);
  });

  it('brings questions to the gate and its answer back; a gate that throws denies', async () => {
    const request = {
      image: 'a.img',
      role: 'backing' as const,
      reference: 'b.img',
      resolved: '/b.img',
      depth: 1,
    };
    const ask = vi.fn().mockResolvedValueOnce(true).mockRejectedValueOnce(new Error('no window'));
    supervisor.start('image', 'img-1', 'a.img', events({ ask }));
    ports[0].says({ kind: 'ask', id: 4, handle: 'img-1', request });
    ports[0].says({ kind: 'ask', id: 5, handle: 'img-1', request });
    await vi.waitFor(() => expect(ports[0].posted.filter((m) => m.kind === 'allow')).toHaveLength(2));
    expect(ask).toHaveBeenCalledWith('img-1', request);
    expect(ports[0].posted).toContainEqual({ kind: 'allow', id: 4, allow: true });
    expect(ports[0].posted).toContainEqual({ kind: 'allow', id: 5, allow: false });
  });

  it('does not pass an answer of the gate to a process that is gone', async () => {
    let answer: (allow: boolean) => void = () => undefined;
    const ask = () => new Promise<boolean>((resolve) => (answer = resolve));
    const worker = supervisor.start('image', 'img-1', image.path, events({ ask }));
    const request = { image: 'a', role: 'backing' as const, reference: 'b', resolved: '/b', depth: 1 };
    ports[0].says({ kind: 'ask', id: 1, handle: 'img-1', request });
    await worker.end();
    answer(true);
    await vi.advanceTimersByTimeAsync(1);
    expect(ports[0].posted).toEqual([]);
  });
});
