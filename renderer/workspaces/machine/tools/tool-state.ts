/** What stands in the tools below the drawing; it stays while another tab is looked at. */
import { defineStore } from 'pinia';
import { ref } from 'vue';
import { RECIPES } from '#engine/qemu/recipes.ts';
import type { Target } from './conversions.ts';

export const useToolStore = defineStore('machine-tools', () => ({
  /** Convert: the line into something, or something into a line. */
  direction: ref<'write' | 'read'>('write'),
  target: ref<Target>('blockdev'),
  /** XML, QMP or a configuration file, as it was pasted. */
  foreign: ref(''),
  /** What QEMU printed. */
  printed: ref(''),
  /** The line to compare with. */
  other: ref(''),
  recipe: ref(RECIPES[0].id),
  /** Values of the recipes' parameters, by recipe and parameter. */
  values: ref<Record<string, Record<string, string>>>({}),
}));
