/** How severities look: an icon and a letter, so that nothing depends on colour. */
import type { Component } from 'vue';
import { CircleX, EyeOff, Info, OctagonAlert, TriangleAlert } from '@lucide/vue';
import type { Severity } from '#engine/qemu/model.ts';

export const SEVERITIES: Record<
  Severity,
  { icon: Component; letter: string; tone: 'bad' | 'warn' | 'plain' }
> = {
  error: { icon: CircleX, letter: 'E', tone: 'bad' },
  danger: { icon: OctagonAlert, letter: 'D', tone: 'bad' },
  warning: { icon: TriangleAlert, letter: 'W', tone: 'warn' },
  silent: { icon: EyeOff, letter: 'S', tone: 'plain' },
  info: { icon: Info, letter: 'I', tone: 'plain' },
};
