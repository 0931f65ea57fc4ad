/** The typed client over `window.platter`: unwraps every `Result` and throws what went wrong as a `CallError`. */
import type { CallAnswer, CallArgs, CallName, EventName, Events } from '#contract/calls.ts';
import type { PlainError, Result } from '#contract/error.ts';
import type { ImageHandle } from '#contract/images.ts';
import type { Bridge } from '#contract/bridge.ts';

/** An error that carries the plain data of the process that met it; `ErrorNote` shows it. */
export class CallError extends Error {
  override readonly name = 'CallError';
  readonly plain: PlainError;

  constructor(plain: PlainError) {
    super(plain.message);
    this.plain = plain;
  }
}

/** Any thrown value as plain data. */
export function asPlainError(error: unknown): PlainError {
  if (error instanceof CallError) return error.plain;
  return {
    code: 'internal',
    message: error instanceof Error ? error.message : String(error),
    context: {},
  };
}

function bridge(): Bridge {
  if (window.platter === undefined) {
    throw new CallError({
      code: 'shell.no-bridge',
      message: 'This page runs outside of the Platter application; start Platter with `npm start`.',
      context: {},
    });
  }
  return window.platter;
}

function unwrap<T>(result: Result<T>): T {
  if (result.ok) return result.value;
  throw new CallError(result.error);
}

/** Arguments are plain data; copying them takes Vue's proxies off, which cannot cross the bridge. */
function plainCopy<T>(value: T): T {
  return JSON.parse(JSON.stringify(value)) as T;
}

export const platter = {
  /** @throws CallError */
  async call<N extends CallName>(name: N, ...args: CallArgs<N>): Promise<CallAnswer<N>> {
    return unwrap(await bridge().call(name, ...plainCopy(args)));
  },
  /** Subscribes to an event; answers what ends it. */
  on<N extends EventName>(name: N, listener: (payload: Events[N]) => void): () => void {
    return bridge().on(name, listener);
  },
  /** @throws CallError */
  async attachDropped(files: File[]): Promise<ImageHandle[]> {
    return unwrap(await bridge().attachDropped(files));
  },
};
