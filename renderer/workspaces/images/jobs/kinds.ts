/** The jobs that the list offers, in groups, each with its form. */
import type { Component } from 'vue';
import {
  Binary,
  Copy,
  FileOutput,
  GitMerge,
  GitPullRequestArrow,
  Grid2x2,
  KeyRound,
  Ruler,
  Scaling,
  Scale,
  ShieldCheck,
  SlidersHorizontal,
} from '@lucide/vue';
import type { JobKind } from '#contract/jobs.ts';
import AmendForm from './kinds/AmendForm.vue';
import BitmapForm from './kinds/BitmapForm.vue';
import CheckForm from './kinds/CheckForm.vue';
import ChecksumForm from './kinds/ChecksumForm.vue';
import CommitForm from './kinds/CommitForm.vue';
import CompareForm from './kinds/CompareForm.vue';
import ConvertForm from './kinds/ConvertForm.vue';
import CopyForm from './kinds/CopyForm.vue';
import KeysForm from './kinds/KeysForm.vue';
import MeasureForm from './kinds/MeasureForm.vue';
import RebaseForm from './kinds/RebaseForm.vue';
import ResizeForm from './kinds/ResizeForm.vue';

/** Those that stand in the list; snapshots have a tab of their own, and a new image belongs to no image. */
export type ListedKind = Exclude<JobKind, 'snapshot' | 'create'> | 'keys';

interface Entry {
  kind: ListedKind;
  icon: Component;
  form: Component;
}

export const JOB_GROUPS: readonly { id: string; entries: readonly Entry[] }[] = [
  {
    id: 'new',
    entries: [
      { kind: 'convert', icon: FileOutput, form: ConvertForm },
      { kind: 'copy', icon: Copy, form: CopyForm },
    ],
  },
  {
    id: 'look',
    entries: [
      { kind: 'check', icon: ShieldCheck, form: CheckForm },
      { kind: 'compare', icon: Scale, form: CompareForm },
      { kind: 'checksum', icon: Binary, form: ChecksumForm },
      { kind: 'measure', icon: Ruler, form: MeasureForm },
    ],
  },
  {
    id: 'change',
    entries: [
      { kind: 'resize', icon: Scaling, form: ResizeForm },
      { kind: 'amend', icon: SlidersHorizontal, form: AmendForm },
      { kind: 'bitmap', icon: Grid2x2, form: BitmapForm },
      { kind: 'keys', icon: KeyRound, form: KeysForm },
    ],
  },
  {
    id: 'chain',
    entries: [
      { kind: 'commit', icon: GitMerge, form: CommitForm },
      { kind: 'rebase', icon: GitPullRequestArrow, form: RebaseForm },
    ],
  },
];

export const LISTED = JOB_GROUPS.flatMap(({ entries }) => entries);

export function isListed(kind: string | undefined): kind is ListedKind {
  return LISTED.some((entry) => entry.kind === kind);
}
