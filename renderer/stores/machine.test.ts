import { createPinia, setActivePinia } from 'pinia';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { PickedConfig } from '#contract/calls.ts';
import type { PlainError, Result } from '#contract/error.ts';
import { useAppStore } from './app.ts';
import { useMachineStore } from './machine.ts';

const LINE = '-readconfig vm.cfg -device virtio-blk-pci,drive=d,id=v';
const TEXT = '[drive "d"]\n  file = "a"\n  if = "none"\n  format = "raw"\n';

/** What the dialog answers next. */
let answer: Result<PickedConfig | null>;
beforeEach(() => {
  setActivePinia(createPinia());
  vi.stubGlobal('matchMedia', () => ({ matches: false }));
  vi.stubGlobal('window', {
    platter: {
      call: (name: string) =>
        name === 'line.pickConfig' ? Promise.resolve(answer) : Promise.reject(new Error(name)),
      on: () => () => undefined,
    },
  });
});
afterEach(() => vi.unstubAllGlobals());

const picks = (name: string, text: string): void => {
  answer = { ok: true, value: { name, text } };
};
function lineOf(text: string) {
  const machine = useMachineStore();
  machine.text = text;
  return machine;
}

describe('the files of a line', () => {
  it('are asked for by the names in the line, each once, standard input left out', () => {
    const machine = lineOf("-readconfig a.cfg -readconfig - -readconfig a.cfg -readconfig 'b c.cfg'");
    expect(machine.configFiles.map(({ name, file }) => [name, file])).toEqual([
      ['a.cfg', null],
      ['b c.cfg', null],
    ]);
  });

  it('miss nothing while unread; once chosen, everything sees what they hold', async () => {
    const machine = lineOf(LINE);
    expect(machine.problems).toEqual([]);
    expect(machine.drives).toEqual([]);

    picks('chosen.cfg', TEXT.replace('"d"', '"e"'));
    await machine.chooseConfig('vm.cfg');
    expect(machine.configFiles).toMatchObject([{ name: 'vm.cfg', file: 'chosen.cfg' }]);
    expect(machine.problems.map(({ rule }) => rule)).toContain('D01');
    expect(machine.drawing.nodes.map(({ label }) => label)).toContain('e');
    machine.fixEverything();
    expect(machine.text).toContain('drive=e');
    machine.text = LINE;

    picks('other.cfg', TEXT);
    await machine.chooseConfig('vm.cfg');
    expect(machine.problems).toEqual([]);
    expect(machine.drives).toMatchObject([{ id: 'd', file: 'a' }]);
    expect(machine.sentences.map(({ key }) => key)).toContain('explain.bridge.drive');

    machine.forgetConfig('vm.cfg');
    expect(machine.configFiles).toMatchObject([{ name: 'vm.cfg', file: null }]);
    expect(machine.drives).toEqual([]);
  });

  it('are kept with the open work; the lab gets those of the line only', async () => {
    const app = useAppStore();
    const machine = lineOf(LINE);
    picks('chosen.cfg', TEXT);
    await machine.chooseConfig('vm.cfg');
    const kept = [{ name: 'vm.cfg', file: 'chosen.cfg', text: TEXT }];
    expect(app.session.configs).toEqual(kept);
    expect(machine.configs).toEqual(kept);

    machine.text = '-readconfig next.cfg';
    expect(machine.configs).toEqual([]);
    machine.text = LINE;
    expect(machine.configs).toEqual(kept);

    machine.text = '-readconfig next.cfg';
    await machine.chooseConfig('next.cfg');
    expect(app.session.configs.map(({ name }) => name)).toEqual(['next.cfg']);
  });

  it('stay as they are when nothing was chosen or could be read', async () => {
    const app = useAppStore();
    const machine = lineOf(LINE);
    answer = { ok: true, value: null };
    await machine.chooseConfig('vm.cfg');
    expect(app.notices).toEqual([]);
    const error: PlainError = { code: 'config.too-large', message: 'x', context: {} };
    answer = { ok: false, error };
    await machine.chooseConfig('vm.cfg');
    expect(app.notices).toMatchObject([{ error }]);
    expect(machine.configFiles).toMatchObject([{ file: null }]);
  });
});
