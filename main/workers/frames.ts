/** Answers the page's questions for frames over the lab's MessagePort, at the page's pace. */
import * as v from 'valibot';
import type { LabFrame, LabFrameRequest } from '#contract/lab.ts';

/** Rows in one frame; the page asks for what is in view. */
const MOST_ROWS = 65_536;

const whole = v.pipe(v.number(), v.integer(), v.minValue(0));
const requestSchema = v.object({
  seq: whole,
  from: v.pipe(v.number(), v.integer(), v.minValue(-1)),
  count: v.pipe(whole, v.maxValue(MOST_ROWS)),
  requestId: v.nullable(whole),
  disk: v.optional(whole),
  queue: v.nullable(whole),
  details: v.optional(v.nullable(v.pipe(v.string(), v.maxLength(64)))),
});

/** The end of a channel that the lab holds; Electron's MessagePortMain. */
export interface FramePort {
  on(event: 'message', listener: (event: { data: unknown }) => void): unknown;
  start(): void;
  postMessage(frame: LabFrame): void;
}

/** Serves frames until the channel is closed. What is no request is not answered. */
export function serveFrames(port: FramePort, frame: (request: LabFrameRequest) => LabFrame): void {
  port.on('message', ({ data }) => {
    const request = v.safeParse(requestSchema, data);
    if (request.success) port.postMessage(frame(request.output));
  });
  port.start();
}
