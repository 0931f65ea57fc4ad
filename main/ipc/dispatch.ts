/** The way of one call from the page: known name, valid arguments, the handler, a `Result`. Free of Electron. */
import * as v from 'valibot';
import { calls, type CallAnswer, type CallArgs, type CallName } from '#contract/calls.ts';
import type { Result } from '#contract/error.ts';
import { PlatterError, toPlainError } from '#engine/errors.ts';
import type { Maybe } from '#engine/maybe.ts';

/** What answers every call of the contract. */
export type Handlers = { [N in CallName]: (...args: CallArgs<N>) => Maybe<CallAnswer<N>> };

/**
 * Checks and runs one call. Never throws: whatever goes wrong comes back as data.
 * @param name and `args` come from the page and may be anything
 */
export async function dispatch(handlers: Handlers, name: unknown, args: unknown): Promise<Result<unknown>> {
  return settle(() => {
    if (!isCallName(name)) {
      throw new PlatterError('ipc.unknown-call', `There is no call of that name.`, {
        value: typeof name === 'string' ? name : typeof name,
      });
    }
    return run(handlers, name, args);
  });
}

/** Runs `work` and makes a `Result` of what it answers or throws. */
export async function settle<T>(work: () => Maybe<T>): Promise<Result<T>> {
  try {
    return { ok: true, value: await work() };
  } catch (error) {
    return { ok: false, error: toPlainError(error) };
  }
}

function run<N extends CallName>(handlers: Handlers, name: N, args: unknown): Maybe<CallAnswer<N>> {
  const schema = calls[name].args as unknown as v.GenericSchema<unknown, CallArgs<N>>;
  const checked = v.safeParse(schema, args);
  if (!checked.success) throw badArguments(name, checked.issues[0]);
  const handler: (...args: CallArgs<N>) => Maybe<CallAnswer<N>> = handlers[name];
  return handler(...checked.output);
}

function isCallName(name: unknown): name is CallName {
  return typeof name === 'string' && Object.hasOwn(calls, name);
}

function badArguments(name: string, issue: v.BaseIssue<unknown>): PlatterError {
  const field = issue.path?.map((item) => String(item.key)).join('.') ?? '';
  return new PlatterError('ipc.bad-arguments', `${name}: argument ${field} is refused: ${issue.message}`, {
    option: name,
    field,
    value: issue.received,
    expected: issue.expected ?? undefined,
  });
}
