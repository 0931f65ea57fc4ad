import { describe, expect, it } from 'vitest';
import type { LabFrame, LabFrameRequest } from '#contract/lab.ts';
import { serveFrames } from './frames.ts';

function served() {
  const sent: unknown[] = [];
  const asked: LabFrameRequest[] = [];
  let receive: (event: { data: unknown }) => void = () => undefined;
  let started = false;
  serveFrames(
    {
      on: (_event, listener) => (receive = listener),
      start: () => {
        started = true;
      },
      postMessage: (frame) => void sent.push(frame),
    },
    (request) => {
      asked.push(request);
      return { seq: request.seq } as LabFrame;
    },
  );
  expect(started).toBe(true);
  return { sent, asked, say: (data: unknown) => receive({ data }) };
}

const request: LabFrameRequest = { seq: 4, from: -1, count: 40, requestId: null, queue: 0 };

describe('serveFrames', () => {
  it('answers every request with one frame', () => {
    const { sent, asked, say } = served();
    say(request);
    say({ ...request, seq: 5 });
    expect(sent).toEqual([{ seq: 4 }, { seq: 5 }]);
    expect(asked[0]).toEqual(request);
    say({ ...request, disk: 1, details: 'pci' });
    expect(asked[2]).toMatchObject({ disk: 1, details: 'pci' });
  });

  it.each([
    undefined,
    null,
    'frame',
    {},
    { ...request, count: 1e9 },
    { ...request, count: -1 },
    { ...request, from: -2 },
    { ...request, from: 0.5 },
    { ...request, queue: 'all' },
    { ...request, disk: -1 },
    { ...request, requestId: Number.NaN },
  ])('does not answer %j', (data) => {
    const { sent, asked, say } = served();
    say(data);
    expect([sent, asked]).toEqual([[], []]);
  });
});
