import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { GateQuestion } from '#contract/images.ts';
import type { GateRequest } from '#engine/block/gate.ts';
import { GATE_TIMEOUT_MS, PersonGate } from './gate.ts';

const request: GateRequest = {
  image: 'a.qcow2',
  role: 'backing',
  reference: 'base.img',
  resolved: '/vm/base.img',
  format: 'raw',
  depth: 1,
};

let asked: GateQuestion[];
let withdrawn: number[];
let there: boolean;
let gate: PersonGate;
beforeEach(() => {
  vi.useFakeTimers();
  [asked, withdrawn, there] = [[], [], true];
  gate = new PersonGate({
    ask: (question) => {
      asked.push(question);
      return there;
    },
    withdraw: (id) => void withdrawn.push(id),
  });
});
afterEach(() => {
  vi.useRealTimers();
});

describe('PersonGate', () => {
  it('asks with everything that the person needs to judge, and gives the answer back', async () => {
    const yes = gate.ask('img-1', request);
    expect(asked).toEqual([{ id: 1, ...request }]);
    gate.answer(1, true);
    expect(await yes).toBe(true);
    const no = gate.ask('img-2', request);
    gate.answer(2, false);
    expect(await no).toBe(false);
  });

  it('remembers a yes for that image, file, role and format, and for nothing else', async () => {
    const first = gate.ask('img-1', request);
    gate.answer(1, true);
    await first;
    expect(await gate.ask('img-1', request)).toBe(true);
    expect(asked).toHaveLength(1);
    void gate.ask('img-2', request);
    void gate.ask('img-1', { ...request, resolved: '/etc/passwd' });
    void gate.ask('img-1', { ...request, role: 'data-file' });
    void gate.ask('img-1', { ...request, format: 'qcow2' });
    void gate.ask('img-1', { ...request, format: undefined });
    expect(asked).toHaveLength(6);
  });

  it('takes a yes for the folder for all that this image names there, and for nothing below or beside it', async () => {
    const ask = (image: string, resolved: string) => gate.ask(image, { ...request, resolved });
    const first = ask('img-1', '/vm/a-s001.vmdk');
    const second = ask('img-1', '/vm/a-s002.vmdk');
    const elsewhere = vi.fn();
    void ask('img-1', '/vm/deep/x').then(elsewhere);
    void ask('img-2', '/vm/a-s001.vmdk').then(elsewhere);
    gate.answer(1, true, true);
    expect(await Promise.all([first, second])).toEqual([true, true]);
    expect(withdrawn).toEqual([2]);
    expect(await ask('img-1', '/vm/a-s003.vmdk')).toBe(true);
    void ask('img-1', '/etc/passwd').then(elsewhere);
    expect(asked).toHaveLength(5);
    expect(elsewhere).not.toHaveBeenCalled();
    gate.forget('img-1');
    void ask('img-1', '/vm/a-s003.vmdk');
    expect(asked).toHaveLength(6);
  });

  it('takes no for no, whatever was ticked', async () => {
    const no = gate.ask('img-1', request);
    gate.answer(1, false, true);
    expect(await no).toBe(false);
    void gate.ask('img-1', { ...request, resolved: '/vm/other.img' });
    expect(asked).toHaveLength(2);
  });

  it('asks again after a no, and after the image was detached', async () => {
    const no = gate.ask('img-1', request);
    gate.answer(1, false);
    await no;
    const yes = gate.ask('img-1', request);
    gate.answer(2, true);
    expect(await yes).toBe(true);
    gate.forget('img-1');
    void gate.ask('img-1', request);
    expect(asked).toHaveLength(3);
  });

  it('asks once when the image and a lab wait for the same file', async () => {
    const both = [gate.ask('img-1', request), gate.ask('img-1', request)];
    expect(asked).toHaveLength(1);
    gate.answer(1, true);
    expect(await Promise.all(both)).toEqual([true, true]);
  });

  it('denies and withdraws when the image is closed; a late answer counts for nothing', async () => {
    const answer = gate.ask('img-1', request);
    const other = gate.ask('img-2', request);
    gate.withdraw('img-1');
    expect(await answer).toBe(false);
    expect(withdrawn).toEqual([1]);
    gate.answer(1, true);
    void gate.ask('img-1', request);
    expect(asked).toHaveLength(3);
    gate.answer(2, true);
    expect(await other).toBe(true);
  });

  it('denies when nobody answers in time, when no page is there, and when the page goes', async () => {
    const late = gate.ask('img-1', request);
    vi.advanceTimersByTime(GATE_TIMEOUT_MS);
    expect(await late).toBe(false);
    expect(withdrawn).toEqual([1]);
    const waits = gate.ask('img-1', request);
    expect(gate.waiting().map((question) => question.id)).toEqual([2]);
    gate.denyAll();
    expect(await waits).toBe(false);
    there = false;
    expect(await gate.ask('img-1', request)).toBe(false);
    expect(gate.waiting()).toEqual([]);
  });
});
