import { describe, expect, it } from 'vitest';
import { PlatterError } from '#engine/errors.ts';
import type { FromWorker, ToWorker } from '../processes/protocol.ts';
import { Server, type ParentPort } from './serve.ts';

interface TestCalls {
  add: { args: [a: number, b: number]; answer: number };
  fail: { args: []; answer: null };
  open: { args: []; answer: boolean };
}

function server() {
  const sent: FromWorker[] = [];
  let receive: (event: { data: ToWorker; ports: string[] }) => void = () => undefined;
  const port: ParentPort<string> = {
    on: (_event, listener) => (receive = listener),
    postMessage: (message) => void sent.push(message),
  };
  const seenPorts: string[][] = [];
  const made = new Server<TestCalls, string>(port);
  made.start({
    add: ([a, b], ports) => {
      seenPorts.push(ports);
      return a + b;
    },
    fail: () => {
      throw new PlatterError('qcow2.bad', 'bad field', { field: 'version' });
    },
    open: async () =>
      made.gateOf('img-1').allow({ image: 'a', role: 'backing', reference: 'b', resolved: '/b', depth: 1 }),
  });
  const say = async (data: ToWorker, ports: string[] = []) => {
    receive({ data, ports });
    await new Promise(setImmediate);
  };
  return { sent, say, seenPorts };
}

describe('Server', () => {
  it('says that it is ready, answers calls and heartbeats', async () => {
    const { sent, say, seenPorts } = server();
    await say({ kind: 'call', id: 7, name: 'add', args: [1, 2] }, ['port']);
    await say({ kind: 'ping' });
    expect(sent).toEqual([
      { kind: 'ready' },
      { kind: 'result', id: 7, result: { ok: true, value: 3 } },
      { kind: 'pong' },
    ]);
    expect(seenPorts).toEqual([['port']]);
  });

  it('sends what a call throws as data with its code and context', async () => {
    const { sent, say } = server();
    await say({ kind: 'call', id: 1, name: 'fail', args: [] });
    const error = { code: 'qcow2.bad', message: 'bad field', context: { field: 'version' } };
    expect(sent.at(-1)).toEqual({ kind: 'result', id: 1, result: { ok: false, error } });
  });

  it('refuses a call that it does not know, inherited names included', async () => {
    const { sent, say } = server();
    for (const name of ['nothing', 'toString', '__proto__']) {
      await say({ kind: 'call', id: 1, name, args: [] });
      expect(sent.at(-1)).toMatchObject({ result: { ok: false, error: { code: 'internal' } } });
    }
  });

  it('still answers heartbeats while it waits at the gate, and goes on with the answer', async () => {
    const { sent, say } = server();
    await say({ kind: 'call', id: 1, name: 'open', args: [] });
    expect(sent.at(-1)).toMatchObject({ kind: 'ask', id: 1, handle: 'img-1', request: { resolved: '/b' } });
    await say({ kind: 'ping' });
    expect(sent.at(-1)).toEqual({ kind: 'pong' });
    await say({ kind: 'allow', id: 1, allow: true });
    expect(sent.at(-1)).toEqual({ kind: 'result', id: 1, result: { ok: true, value: true } });
  });
});
