import { describe, expect, it, vi } from 'vitest';
import { calls, type CallName } from '#contract/calls.ts';
import { PlatterError } from '#engine/errors.ts';
import { dispatch, type Handlers } from './dispatch.ts';

/** Every call answers null and remembers its arguments. */
function recorder(over: Partial<Handlers> = {}) {
  const names = Object.keys(calls) as CallName[];
  const spies = Object.fromEntries(names.map((name) => [name, vi.fn(() => null)]));
  return { spies, handlers: { ...spies, ...over } as unknown as Handlers };
}

const image = 'img-0123456789abcdef';

describe('dispatch', () => {
  it('passes valid arguments on and wraps the answer', async () => {
    const { handlers, spies } = recorder();
    expect(await dispatch(handlers, 'images.read', [image, 'host', 0, 512])).toEqual({
      ok: true,
      value: null,
    });
    expect(spies['images.read']).toHaveBeenCalledWith(image, 'host', 0, 512);
  });

  it.each<[string, unknown, unknown]>([
    ['a path instead of a handle', 'images.detach', ['/etc/passwd']],
    ['a handle of the wrong kind', 'lab.run', [image]],
    ['too few arguments', 'images.read', [image]],
    ['too many arguments', 'images.list', ['extra']],
    ['no array', 'images.list', 'x'],
    ['nothing', 'images.list', undefined],
    ['a negative offset', 'images.map', [image, -1, 10]],
    ['an offset that is no whole number', 'images.map', [image, 0.5, 10]],
    ['an offset past 2^53', 'images.map', [image, 2 ** 53, 10]],
    ['NaN', 'images.map', [image, Number.NaN, 10]],
    ['too much to read', 'images.read', [image, 'guest', 0, 1024 * 1024 + 1]],
    ['an unknown setting value', 'settings.set', [{ theme: 'purple' }]],
    ['a line over a mebibyte', 'lab.create', [{ line: 'x'.repeat(1024 * 1024 + 1) }]],
  ])('refuses %s before the handler sees it', async (_what, name, args) => {
    const { handlers, spies } = recorder();
    expect(await dispatch(handlers, name, args)).toMatchObject({
      ok: false,
      error: { code: 'ipc.bad-arguments' },
    });
    for (const spy of Object.values(spies)) expect(spy).not.toHaveBeenCalled();
  });

  it('names the call, the argument and what was expected', async () => {
    const answer = await dispatch(recorder().handlers, 'images.read', [image, 'guest', 'zero', 1]);
    expect(answer).toMatchObject({
      error: { context: { option: 'images.read', field: '2', expected: 'number', value: '"zero"' } },
    });
  });

  it.each([['toString'], ['__proto__'], ['constructor'], [''], [7], [null], [{ toString: 1 }]])(
    'knows no call named %j',
    async (name) => {
      const answer = await dispatch(recorder().handlers, name, []);
      expect(answer).toMatchObject({ ok: false, error: { code: 'ipc.unknown-call' } });
    },
  );

  it('leaves settings that were not named out of a change', async () => {
    const { handlers, spies } = recorder();
    await dispatch(handlers, 'settings.set', [{ theme: 'dark' }]);
    expect(spies['settings.set']).toHaveBeenCalledWith({ theme: 'dark' });
  });

  it('brings the error of a handler back as data, thrown or rejected', async () => {
    const error = new PlatterError('storage.short-read', 'too short', { offset: 7 });
    const plain = { code: 'storage.short-read', message: 'too short', context: { offset: 7 } };
    const thrown = recorder({
      'images.list': () => {
        throw error;
      },
      'images.pick': () => Promise.reject(error),
    });
    expect(await dispatch(thrown.handlers, 'images.list', [])).toEqual({ ok: false, error: plain });
    expect(await dispatch(thrown.handlers, 'images.pick', [])).toEqual({ ok: false, error: plain });
  });
});
