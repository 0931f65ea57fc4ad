/** Asks the lab for frames over its MessagePort: one a display frame, never two at once, none while nothing is visible. */
import type { LabFrame, LabFrameRequest } from '#contract/lab.ts';

/** What the pump needs of the page; tests hand in their own. */
export interface FrameHost {
  requestFrame(callback: (timeMs: number) => void): number;
  cancelFrame(id: number): void;
}

/** What to ask for next; null when nothing of the lab is visible. */
export type Wanted = () => Omit<LabFrameRequest, 'seq'> | null;

export class FramePump {
  readonly #port: MessagePort;
  readonly #wanted: Wanted;
  readonly #deliver: (frame: LabFrame) => void;
  readonly #host: FrameHost;
  #seq = 0;
  #waiting = false;
  #scheduled: number | null = null;
  #ended = false;

  constructor(port: MessagePort, wanted: Wanted, deliver: (frame: LabFrame) => void, host: FrameHost) {
    this.#port = port;
    this.#wanted = wanted;
    this.#deliver = deliver;
    this.#host = host;
    port.addEventListener('message', this.#onMessage);
    port.start();
    this.wake();
  }

  /** Starts asking again after the view became visible or wants something else. Cheap when it is already asking. */
  wake(): void {
    if (this.#ended || this.#scheduled !== null || this.#waiting) return;
    this.#scheduled = this.#host.requestFrame(() => {
      this.#scheduled = null;
      this.#ask();
    });
  }

  /** Closes the port; no frame arrives any more. */
  close(): void {
    this.#ended = true;
    if (this.#scheduled !== null) this.#host.cancelFrame(this.#scheduled);
    this.#port.removeEventListener('message', this.#onMessage);
    this.#port.close();
  }

  #ask(): void {
    const wanted = this.#wanted();
    if (!wanted) return;
    this.#waiting = true;
    this.#seq++;
    const request: LabFrameRequest = { ...wanted, seq: this.#seq };
    this.#port.postMessage(request);
  }

  readonly #onMessage = (event: MessageEvent<LabFrame>): void => {
    if (event.data.seq !== this.#seq) return;
    this.#waiting = false;
    this.#deliver(event.data);
    this.wake();
  };
}

/** What of the event list is on the screen. */
export interface ListView {
  visible: boolean;
  /** The request whose events alone are listed, or null for all events. */
  only: number | null;
  /** First event in view, or null to follow the newest. */
  top: number | null;
  /** Events in view, and those that the timeline wants around them. */
  inView: number;
  around: number;
}

/** Most events of one request. */
const MOST_OF_REQUEST = 1000;

/** The rows to ask for. */
export function rowsWanted(view: ListView): Pick<LabFrameRequest, 'from' | 'count' | 'requestId'> {
  if (!view.visible) return { from: -1, count: 0, requestId: null };
  if (view.only !== null) return { from: 0, count: MOST_OF_REQUEST, requestId: view.only };
  const count = Math.max(view.inView, view.around);
  if (view.top === null) return { from: -1, count, requestId: null };
  const spare = Math.max(0, Math.floor((count - view.inView) / 2));
  return { from: Math.max(0, view.top - spare), count, requestId: null };
}
