/** "Try it": the present line given to the installed QEMU, and what came of it. */
import { defineStore } from 'pinia';
import { computed, ref, shallowRef } from 'vue';
import type { PlainError } from '#contract/error.ts';
import type { TryResult, TryStage } from '#contract/try.ts';
import { compareTrees } from '#engine/qemu/try/compare.ts';
import { parseCommandLine } from '#engine/qemu/parse.ts';
import { asPlainError, platter } from '../lib/platter.ts';
import { useMachineStore } from './machine.ts';

export const useTrialStore = defineStore('trial', () => {
  const machine = useMachineStore();
  const result = shallowRef<TryResult | null>(null);
  const error = ref<PlainError | null>(null);
  /** How far it is; null when none is under way. */
  const stage = ref<TryStage | null>(null);
  /** The tab below the drawing. */
  const tab = ref<'problems' | 'try' | 'map' | 'error' | 'convert' | 'compare' | 'recipes'>('problems');
  /** A later trial makes the answer to an earlier one void. */
  let latest = 0;

  platter.on('qemu.trying', (progress) => {
    if (stage.value !== null) stage.value = progress.stage;
  });

  /** The line has been changed since: places are not those of the text any more. */
  const stale = computed(() => result.value !== null && result.value.line !== machine.text);
  const comparison = computed(() => {
    const tree = result.value?.tree;
    if (result.value === null || tree === undefined) return null;
    const touched = result.value.changes.map((c) => c.span).filter((s) => s !== undefined);
    return compareTrees(parseCommandLine(result.value.line), tree, touched);
  });

  async function run(): Promise<void> {
    const own = ++latest;
    tab.value = 'try';
    error.value = null;
    stage.value = 'files';
    try {
      const answer = await platter.call('qemu.try', { line: machine.text, bindings: machine.bindings });
      if (own === latest) result.value = answer;
    } catch (thrown) {
      if (own !== latest) return;
      result.value = null;
      error.value = asPlainError(thrown);
    } finally {
      if (own === latest) stage.value = null;
    }
  }

  async function cancel(): Promise<void> {
    await platter.call('qemu.cancel');
  }

  return { result, error, stage, tab, stale, comparison, run, cancel };
});
