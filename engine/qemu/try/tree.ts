/** QEMU's answers over QMP as trees that are easy to show. Everything is read with care: versions differ in what they tell. */
import type {
  QemuBlockNode,
  QemuBlockTree,
  QemuPciDevice,
  QemuTree,
  QemuVirtioDevice,
} from '#contract/try.ts';
import { pciKey } from '../model/placement.ts';
import type { TrialPlan } from './types.ts';

/** What was asked; a command that this QEMU does not have is undefined. */
export interface TreeAnswers {
  /** `query-block` */
  block: unknown;
  /** `query-named-block-nodes` with `flat` */
  nodes: unknown;
  /** `x-debug-query-block-graph` */
  graph: unknown;
  /** `query-pci` */
  pci: unknown;
  /** `x-query-virtio` */
  virtio: unknown;
}

type Row = Record<string, unknown>;
const rows = (value: unknown): Row[] =>
  Array.isArray(value) ? value.filter((v): v is Row => typeof v === 'object' && v !== null) : [];
const row = (value: unknown): Row => (typeof value === 'object' && value !== null ? (value as Row) : {});
const text = (value: unknown): string => (typeof value === 'string' ? value : '');
const number = (value: unknown): number => (typeof value === 'number' ? value : 0);

/** Deepest chain and bridge that is followed. */
const DEPTH = 64;

export function readTree(answers: TreeAnswers, plan: TrialPlan): QemuTree {
  return {
    blocks: readBlocks(answers, plan),
    pci: rows(answers.pci).flatMap((bus) => readBus(bus, 0)),
    virtio: answers.virtio === undefined ? null : rows(answers.virtio).map(readVirtio),
  };
}

function readVirtio(device: Row): QemuVirtioDevice {
  return { name: text(device['name']), path: text(device['path']) };
}

function readBus(bus: Row, depth: number): QemuPciDevice[] {
  if (depth > DEPTH) return [];
  return rows(bus['devices'])
    .map((device): QemuPciDevice => {
      const id = row(device['id']);
      const bridge = device['pci_bridge'];
      const hex = (value: unknown): string => number(value).toString(16).padStart(4, '0');
      return {
        address: pciKey(number(device['slot']), number(device['function'])),
        id: text(device['qdev_id']),
        description: text(row(device['class_info'])['desc']),
        ids: `${hex(id['vendor'])}:${hex(id['device'])}`,
        ...(bridge === undefined ? {} : { behind: readBus(row(bridge), depth + 1) }),
      };
    })
    .toSorted((a, b) => (a.address < b.address ? -1 : a.address > b.address ? 1 : 0));
}

interface Edge {
  child: string;
  role: string;
}

/** The block graph by node-name: from the edges that QEMU tells, or from the names of backing files for one that does not. */
class Graph {
  readonly nodes = new Map<string, Row>();
  readonly edges = new Map<string, Edge[]>();
  readonly below = new Set<string>();
  readonly #plan: TrialPlan;

  constructor(answers: TreeAnswers, plan: TrialPlan) {
    this.#plan = plan;
    for (const node of rows(answers.nodes)) this.nodes.set(text(node['node-name']), node);
    const graph = row(answers.graph);
    const names = new Map(rows(graph['nodes']).map((n) => [number(n['id']), n]));
    for (const edge of rows(graph['edges'])) {
      const parent = names.get(number(edge['parent']));
      const child = text(names.get(number(edge['child']))?.['name']);
      if (parent?.['type'] !== 'block-driver') continue;
      const list = this.edges.get(text(parent['name'])) ?? [];
      list.push({ child, role: text(edge['name']) });
      this.edges.set(text(parent['name']), list);
      this.below.add(child);
    }
  }

  tree(name: string, role = '', depth = 0): QemuBlockNode | undefined {
    const node = this.nodes.get(name);
    if (node === undefined || depth > DEPTH) return undefined;
    const edges = this.edges.get(name) ?? [];
    // The trial's own writable layer is not shown: what it lies over is the line's.
    const backing = this.#isOwnLayer(name, edges) ? edges.find((e) => e.role === 'backing') : undefined;
    if (backing !== undefined) return this.tree(backing.child, role, depth + 1);
    const file = text(node['file']);
    const made: QemuBlockNode = {
      name,
      driver: text(node['drv']),
      readOnly: node['ro'] === true,
      role,
      children: edges
        .toSorted((a, b) => rank(a.role) - rank(b.role))
        .map((e) => this.tree(e.child, e.role, depth + 1))
        .filter((n) => n !== undefined),
    };
    if (edges.length === 0 && file !== '') made.file = this.#plan.aliases.get(file) ?? file;
    return made;
  }

  /** Whether a node is the trial's: named so, or over the temporary file that QEMU made for `snapshot=on`. */
  #isOwnLayer(name: string, edges: readonly Edge[]): boolean {
    if (this.isOwn(name)) return true;
    const below = edges.find((e) => e.role === 'file');
    const file = text(this.nodes.get(below?.child ?? '')?.['file']);
    return file.startsWith(this.#plan.folder) && !this.#plan.aliases.has(file);
  }

  /** Whether it belongs to the trial alone, and what lies below it. */
  isOwn(name: string): boolean {
    return this.#plan.aliases.has(name);
  }
}

const rank = (role: string): number => (role === 'file' ? 0 : role === 'backing' ? 2 : 1);

function readBlocks(answers: TreeAnswers, plan: TrialPlan): QemuBlockTree[] {
  const graph = new Graph(answers, plan);
  const trees: QemuBlockTree[] = [];
  const shown = new Set<string>();
  const note = (node: QemuBlockNode | undefined): void => {
    if (node === undefined) return;
    shown.add(node.name);
    for (const child of node.children) note(child);
  };
  for (const backend of rows(answers.block)) {
    const inserted = row(backend['inserted']);
    const name = text(inserted['node-name']);
    const root = graph.tree(name);
    note(root);
    const qdev = text(backend['qdev']);
    // The board's own devices and those without an id have paths that say nothing.
    const device = /\/peripheral\/([^/]+)/.exec(qdev)?.[1] ?? (qdev.startsWith('/') ? '' : qdev);
    const owner = text(backend['device']);
    trees.push({
      owner: owner === '' ? (root?.name ?? '') : owner,
      ...(device === '' ? {} : { device }),
      ...(root === undefined ? {} : { root }),
    });
  }
  for (const name of graph.nodes.keys()) {
    if (graph.below.has(name) || shown.has(name) || graph.isOwn(name)) continue;
    const root = graph.tree(name);
    if (root !== undefined && !shown.has(root.name)) trees.push({ owner: root.name, root });
  }
  return trees;
}
