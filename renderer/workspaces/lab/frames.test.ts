import { describe, expect, it } from 'vitest';
import type { LabFrame, LabFrameRequest } from '#contract/lab.ts';
import { FramePump } from './frames.ts';

function setUp(wanted: () => boolean) {
  const callbacks: (() => void)[] = [];
  const { port1, port2 } = new MessageChannel();
  const asked: LabFrameRequest[] = [];
  const delivered: LabFrame[] = [];
  const pump = new FramePump(
    port1,
    () => (wanted() ? { from: -1, count: 1, requestId: null, queue: 0 } : null),
    (frame) => delivered.push(frame),
    { requestFrame: (callback) => callbacks.push(() => callback(0)), cancelFrame: () => callbacks.splice(0) },
  );
  port2.addEventListener('message', (e: MessageEvent<LabFrameRequest>) => asked.push(e.data));
  port2.start();
  const tick = () => callbacks.splice(0).forEach((c) => c());
  const turn = () => new Promise((resolve) => setTimeout(resolve, 5));
  // Messages arrive between two turns of the event loop's timers, however late the first one is.
  const settle = () => turn().then(turn);
  const answer = (seq: number) => port2.postMessage({ seq });
  return { pump, tick, settle, asked, delivered, answer, close: () => (pump.close(), port2.close()) };
}

describe('frame pump', () => {
  it('asks once and waits for the answer before it asks again', async () => {
    const t = setUp(() => true);
    t.tick();
    t.pump.wake();
    t.tick();
    await t.settle();
    expect(t.asked.map((r) => r.seq)).toEqual([1]);
    t.answer(1);
    await t.settle();
    expect(t.delivered).toHaveLength(1);
    t.tick();
    await t.settle();
    expect(t.asked.map((r) => r.seq)).toEqual([1, 2]);
    t.close();
  });

  it('rests while nothing is visible and goes on when woken', async () => {
    let visible = false;
    const t = setUp(() => visible);
    t.tick();
    await t.settle();
    expect(t.asked).toHaveLength(0);
    visible = true;
    t.pump.wake();
    t.tick();
    await t.settle();
    expect(t.asked).toHaveLength(1);
    t.close();
  });

  it('delivers nothing after it was closed', async () => {
    const t = setUp(() => true);
    t.tick();
    t.pump.close();
    t.answer(1);
    await t.settle();
    expect(t.delivered).toHaveLength(0);
    t.close();
  });
});
