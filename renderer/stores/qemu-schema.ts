/** What the installed QEMU knows, read once when the line is for that very version. */
import { defineStore } from 'pinia';
import { computed, shallowRef, watch } from 'vue';
import type { Schema } from '#engine/qemu/schema/schema.ts';
import { platter } from '../lib/platter.ts';
import { useAppStore } from './app.ts';

export const useQemuSchemaStore = defineStore('qemu-schema', () => {
  const app = useAppStore();
  const installed = shallowRef<Schema | null>(null);
  const wanted = computed(() => app.start !== null && app.start.qemu === app.settings.qemuVersion);

  watch(
    wanted,
    async (now) => {
      if (!now || installed.value !== null) return;
      try {
        const answer = await platter.call('qemu.schema', 'x86_64');
        if (answer !== null) installed.value = JSON.parse(answer.schema) as Schema;
      } catch (error) {
        app.report(error);
      }
    },
    { immediate: true },
  );

  /** Undefined: the bundled one is to be used. */
  const schema = computed(() => (wanted.value ? (installed.value ?? undefined) : undefined));
  return { schema };
});
