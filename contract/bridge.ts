/** What the preload script puts on `window.platter`: the only bridge between the page and main. */
import type { CallAnswer, CallArgs, CallName, EventName, Events } from './calls.ts';
import type { Result } from './error.ts';
import type { ImageHandle } from './images.ts';

export interface Bridge {
  call<N extends CallName>(name: N, ...args: CallArgs<N>): Promise<Result<CallAnswer<N>>>;
  /** Subscribes to an event; call what it returns to end it. */
  on<N extends EventName>(name: N, listener: (payload: Events[N]) => void): () => void;
  /** Attaches files that were dropped on the window. Preload asks Electron for their paths; the page never sees them. */
  attachDropped(files: File[]): Promise<Result<ImageHandle[]>>;
}

export const CHANNEL = {
  call: 'platter:call',
  event: 'platter:event',
  attach: 'platter:attach',
  /** A lab's id, with its MessagePort beside it. */
  labPort: 'platter:lab-port',
} as const;
