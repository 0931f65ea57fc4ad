/**
 * Places the drawing of a command line: a column for each step from left to right, the front end before the cut, the back
 * end behind it, and a row for each disk, so that a device and what stands behind it make one straight line.
 *
 * A line is nearly a tree (a slot has one device, a device one drive), so every piece is visited once and stands beside
 * the first of what follows it. That takes a fraction of a millisecond: the drawing keeps up with typing.
 */
import type { Topology, TopologyNode } from '#engine/qemu/model.ts';

/** A node with its box; x and y are its left upper corner, in pixels of the unscaled drawing. */
export interface PlacedNode extends TopologyNode {
  x: number;
  y: number;
  width: number;
  height: number;
}

export interface PlacedEdge {
  id: string;
  from: string;
  to: string;
  kind: Topology['edges'][number]['kind'];
  broken: boolean;
}

export interface PlacedGraph {
  nodes: PlacedNode[];
  edges: PlacedEdge[];
  /** Where the cut between the two halves stands. */
  cutX: number;
  width: number;
  height: number;
}

const HEIGHT = 56;
const BETWEEN_ROWS = 16;
const BETWEEN_COLUMNS = 24;
/** Room across the cut for the bridge and its name. */
const CUT = 64;
/** Pixels a character of the label takes at most: the drawing's monospace font at 13 px. */
const CHARACTER = 7.9;
/** The same for the quieter second line. */
const QUIET_CHARACTER = 6.4;
/** Room for the icon, the severity mark and the padding. */
const AROUND = 40;
const NARROWEST = 70;
const WIDEST = 148;

/** Lays a topology out. Edges to pieces that are not there are left out; a circle is broken where it closes. */
export function placeGraph(topology: Topology): PlacedGraph {
  const known = new Set(topology.nodes.map((n) => n.key));
  const edges = topology.edges.filter((e) => known.has(e.from) && known.has(e.to));
  if (topology.nodes.length === 0) return { nodes: [], edges: [], cutX: 0, width: 0, height: 0 };
  const columns = columnsOf(topology.nodes, edges);
  const rows = rowsOf(topology.nodes, edges);
  const first = Math.min(
    ...topology.nodes.filter((n) => n.half === 'back').map((n) => columns.get(n.key) ?? 0),
  );
  const { starts, end } = columnStarts(topology.nodes, columns, first);
  const nodes = topology.nodes.map((node): PlacedNode => ({
    ...node,
    x: starts[columns.get(node.key) ?? 0],
    y: Math.round((rows.get(node.key) ?? 0) * (HEIGHT + BETWEEN_ROWS)),
    width: nodeWidth(node),
    height: HEIGHT,
  }));
  return {
    nodes,
    edges: edges.map((e, i) => ({
      id: String(i),
      from: e.from,
      to: e.to,
      kind: e.kind,
      broken: e.broken === true,
    })),
    cutX: Number.isFinite(first) ? starts[first] - CUT / 2 : end + CUT / 2,
    width: Math.max(...nodes.map((n) => n.x + n.width)),
    height: Math.max(...nodes.map((n) => n.y + n.height)),
  };
}

/** The longest way to each node; the back end begins behind the deepest node of the front end. */
function columnsOf(nodes: TopologyNode[], edges: Topology['edges']): Map<string, number> {
  const columns = new Map<string, number>();
  const halves = new Map(nodes.map((n) => [n.key, n.half]));
  const lay = (half: TopologyNode['half'], from: number): void => {
    const own = edges.filter((e) => halves.get(e.from) === half && halves.get(e.to) === half);
    for (const node of nodes) if (node.half === half) columns.set(node.key, from);
    // As many rounds as the longest way has steps; the bound ends a circle that a damaged line describes.
    for (let round = 0; round < nodes.length; round++) {
      let changed = false;
      for (const edge of own) {
        const next = (columns.get(edge.from) ?? 0) + 1;
        if (next <= (columns.get(edge.to) ?? 0) || next - from > nodes.length) continue;
        columns.set(edge.to, next);
        changed = true;
      }
      if (!changed) break;
    }
  };
  lay('front', 0);
  const deepest = Math.max(-1, ...columns.values());
  lay('back', deepest + 1);
  return columns;
}

/** A row for every end of the drawing, from the top in the order of the line; the others stand beside the first of theirs. */
function rowsOf(nodes: TopologyNode[], edges: Topology['edges']): Map<string, number> {
  const rows = new Map<string, number>();
  const visiting = new Set<string>();
  const followers = new Map<string, string[]>();
  const entered = new Set<string>();
  // What several devices share (an I/O thread) stands below them all and not beside the first.
  const shared = new Set(nodes.filter((n) => n.kind === 'iothread').map((n) => n.key));
  for (const edge of edges) {
    if (shared.has(edge.to)) continue;
    entered.add(edge.to);
    const list = followers.get(edge.from);
    if (list) list.push(edge.to);
    else followers.set(edge.from, [edge.to]);
  }
  let next = 0;
  const visit = (key: string): void => {
    visiting.add(key);
    const own: number[] = [];
    for (const follower of followers.get(key) ?? []) {
      if (visiting.has(follower)) continue;
      visit(follower);
      own.push(rows.get(follower) ?? 0);
    }
    rows.set(key, own.length === 0 ? next++ : own[0]);
  };
  for (const node of nodes) if (!entered.has(node.key) && !shared.has(node.key)) visit(node.key);
  for (const node of nodes) if (!visiting.has(node.key)) visit(node.key);
  return rows;
}

/** Where each column begins: as wide as its widest piece, with the cut before column `first`. */
function columnStarts(
  nodes: TopologyNode[],
  columns: Map<string, number>,
  first: number,
): { starts: number[]; end: number } {
  const widths: number[] = [];
  for (const node of nodes) {
    const column = columns.get(node.key) ?? 0;
    widths[column] = Math.max(widths[column] ?? 0, nodeWidth(node));
  }
  const starts: number[] = [];
  let x = 0;
  for (let column = 0; column < widths.length; column++) {
    if (column > 0) x += column === first ? CUT : BETWEEN_COLUMNS;
    starts[column] = x;
    x += widths[column] ?? 0;
  }
  return { starts, end: x };
}

/** A label of two lines is narrower than one of one. */
function nodeWidth(node: TopologyNode): number {
  const label = Math.min(node.label.length, Math.max(9, Math.ceil(node.label.length / 2) + 1));
  const quiet = node.detail?.length ?? node.kind.length;
  const longest = Math.max(label * CHARACTER, quiet * QUIET_CHARACTER);
  return Math.round(Math.min(WIDEST, Math.max(NARROWEST, longest + AROUND)));
}
