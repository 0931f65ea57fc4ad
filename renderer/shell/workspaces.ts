/** The four workspaces. Each is loaded when it is first shown. */
import { defineAsyncComponent, type Component } from 'vue';
import { Activity, BookOpen, CircuitBoard, HardDrive } from '@lucide/vue';
import type { Workspace } from '#contract/settings.ts';

export interface WorkspaceEntry {
  id: Workspace;
  icon: Component;
  component: Component;
}

export const workspaces: WorkspaceEntry[] = [
  {
    id: 'images',
    icon: HardDrive,
    component: defineAsyncComponent(() => import('../workspaces/images/index.ts')),
  },
  {
    id: 'machine',
    icon: CircuitBoard,
    component: defineAsyncComponent(() => import('../workspaces/machine/index.ts')),
  },
  { id: 'lab', icon: Activity, component: defineAsyncComponent(() => import('../workspaces/lab/index.ts')) },
  {
    id: 'learn',
    icon: BookOpen,
    component: defineAsyncComponent(() => import('../workspaces/learn/index.ts')),
  },
];
