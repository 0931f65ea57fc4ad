/** Images with processes that answer at once: whose turn it is, who rests and comes back, what the person is asked. */
import { appendFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { AttachedImage, ImageHandle, ImagesChange } from '#contract/images.ts';
import type { WorkerPort } from '../processes/port.ts';
import type { FromWorker, ImageFile, ToWorker } from '../processes/protocol.ts';
import { Supervisor } from '../processes/supervisor.ts';
import { Images, MOST_IMAGES } from './images.ts';
import { TELL_MS } from './row-changes.ts';
import { Seats } from './seats.ts';

/** Opens whatever it is given; a file whose name begins with `over` names another one, for which the gate is asked. */
class Port implements WorkerPort {
  static readonly opened: string[] = [];
  #message: (message: FromWorker) => void = () => undefined;
  #exit: (reason: string) => void = () => undefined;
  #opening = 0;
  #allowed = true;
  pid(): number {
    return 7;
  }
  post(message: ToWorker): void {
    if (message.kind === 'allow') this.#open(message.allow);
    if (message.kind !== 'call') return;
    const { id, name, args } = message;
    if (name !== 'open') return this.#says({ kind: 'result', id, result: { ok: true, value: name } });
    const file = args[0] as ImageFile;
    this.#opening = id;
    Port.opened.push(basename(file.path));
    if (!basename(file.path).startsWith('over')) return this.#open(true);
    const request = {
      image: basename(file.path),
      role: 'backing' as const,
      reference: 'base',
      resolved: '/vm/base',
      depth: 1,
    };
    this.#says({ kind: 'ask', id: 1, handle: file.handle, request });
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
  #open(allow: boolean): void {
    this.#allowed = allow;
    const value = { format: 'raw', virtualSize: 1, backingError: this.#allowed ? undefined : 'denied' };
    this.#says({ kind: 'result', id: this.#opening, result: { ok: true, value } });
  }
  /** Never before the call that it answers has been made. */
  #says(message: FromWorker): void {
    queueMicrotask(() => this.#message(message));
  }
}

let folder: string;
let images: Images;
let supervisor: Supervisor;
let asked: string[];
let answer: boolean;
let told: ImagesChange[];
const row = (handle: ImageHandle): AttachedImage =>
  images.list().find((image) => image.handle === handle) as AttachedImage;
const state = (...handles: ImageHandle[]) => handles.map((handle) => row(handle).process).join(' ');
const settled = (...handles: ImageHandle[]) =>
  vi.waitFor(() => expect(handles.every((handle) => row(handle).info !== undefined)).toBe(true));
function attach(...names: string[]): ImageHandle[] {
  return images.together(() =>
    names.map((name) => {
      writeFileSync(join(folder, name), name);
      return images.attach(join(folder, name));
    }),
  );
}

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'platter-attached-'));
  Port.opened.length = 0;
  [asked, answer, told] = [[], true, []];
  supervisor = new Supervisor(
    () => new Port(),
    () => new Map(),
    () => undefined,
  );
  images = new Images({
    supervisor,
    gate: {
      ask: (_handle, request) => {
        asked.push(request.image);
        return Promise.resolve(answer);
      },
      withdraw: () => undefined,
      forget: () => undefined,
    },
    home: '/home/me',
    seats: new Seats(2, 1),
    changed: (change) => void told.push(change),
    filesChanged: () => undefined,
    written: () => false,
  });
});
afterEach(async () => {
  images.close();
  await supervisor.endAll();
  rmSync(folder, { recursive: true, force: true });
});

describe('Images', () => {
  it('opens one after the other; those that nobody asks anything rest, and are there when they are asked', async () => {
    const all = attach('a', 'b', 'c', 'd');
    expect(state(...all)).toBe('waiting waiting waiting waiting');
    await settled(...all);
    expect(all.map((handle) => state(handle)).filter((one) => one === 'resting')).toHaveLength(2);
    expect(supervisor.rows()).toHaveLength(2);
    const resting = all.find((handle) => state(handle) === 'resting') as ImageHandle;
    const { info } = row(resting);
    expect(await images.ask(resting, 'check')).toBe('check');
    expect(row(resting)).toMatchObject({ process: 'running', opening: 1 });
    expect(row(resting).info).toBe(info);
    expect(supervisor.rows()).toHaveLength(2);
  });

  it('opens first what is on the screen', async () => {
    const all = attach('a', 'b', 'c', 'd');
    images.hurry([all[3]]);
    await settled(...all);
    expect(Port.opened).toEqual(['a', 'd', 'b', 'c']);
  });

  it('is another opening when the file has changed while it rested', async () => {
    const [a] = attach('a', 'b', 'c', 'd');
    await settled(a);
    await vi.waitFor(() => expect(state(a)).toBe('resting'));
    appendFileSync(join(folder, 'a'), 'more');
    await images.ask(a, 'check');
    expect(row(a).opening).toBe(2);
  });

  it('asks nobody again what was answered with no when one wakes, but when it is opened again', async () => {
    answer = false;
    const [over] = attach('over', 'b', 'c', 'd');
    await settled(over);
    await vi.waitFor(() => expect(state(over)).toBe('resting'));
    await images.ask(over, 'check');
    expect(asked).toEqual(['over']);
    await images.reopen(over);
    expect(asked).toEqual(['over', 'over']);
  });

  it('does not take the end of its old process for trouble when it is opened again', async () => {
    const [a] = attach('a');
    await settled(a);
    // The first change after a pause is told at once.
    await new Promise((resolve) => setTimeout(resolve, 2 * TELL_MS));
    told.length = 0;
    await images.reopen(a);
    expect(told.flatMap(({ rows }) => rows).filter(({ error }) => error !== undefined)).toEqual([]);
    expect(row(a).opening).toBe(2);
  });

  it('holds one that rests for a job that writes to it, and lets it go', async () => {
    const [a] = attach('a', 'b', 'c', 'd');
    await settled(a);
    await vi.waitFor(() => expect(state(a)).toBe('resting'));
    await images.hold([a]);
    expect(row(a)).toMatchObject({ busy: true, info: { format: 'raw' } });
    await expect(images.ask(a, 'check')).rejects.toMatchObject({ code: 'image.busy' });
    await images.release([a]);
    expect(row(a).busy).toBeUndefined();
    expect(await images.ask(a, 'check')).toBe('check');
  });

  it('gives the place of a detached one to the next, and starts nothing once it is closed', async () => {
    const [a, b, c] = attach('over-a', 'b', 'c');
    await images.detach(a);
    await settled(b, c);
    images.close();
    const [d] = attach('d');
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect([state(d), Port.opened.includes('d')]).toEqual(['waiting', false]);
  });

  it(`takes ${MOST_IMAGES} images and no more`, () => {
    images.close();
    images.together(() => {
      for (let i = 0; i < MOST_IMAGES; i++) images.attach(join(folder, `${i}`));
    });
    expect(() => images.attach(join(folder, 'more'))).toThrowError(
      expect.objectContaining({ code: 'image.too-many' }),
    );
    expect(images.attach(join(folder, '0'))).toBe(images.list()[0].handle);
  });
});
