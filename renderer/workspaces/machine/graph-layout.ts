/** Places the drawing of a command line: from left to right, the front end before the cut, the back end behind it. */
import { Graph, layout } from '@dagrejs/dagre';
import type { Topology, TopologyNode } from '#engine/qemu/model.ts';

/** A node with its box; x and y are its left upper corner, in pixels of the unscaled drawing. */
export interface PlacedNode extends TopologyNode {
  x: number;
  y: number;
  width: number;
  height: number;
}

export interface PlacedGraph {
  nodes: PlacedNode[];
  edges: { id: string; from: string; to: string; kind: Topology['edges'][number]['kind']; broken: boolean }[];
  /** Where the cut between the two halves stands. */
  cutX: number;
  width: number;
  height: number;
}

const HEIGHT = 44;
/** Pixels a character of the label takes at most: the drawing's monospace font at 12 px. */
const CHARACTER = 7.3;
/** Room for the icon, the severity mark and the padding. */
const AROUND = 46;
const NARROWEST = 96;
const WIDEST = 208;
const BETWEEN_RANKS = 40;
const MARGIN = 12;

/**
 * Lays a topology out. Halves never mix: every root of the back end stands one rank behind the deepest node of the front
 * end, whether a device uses it or not.
 */
export function placeGraph(topology: Topology): PlacedGraph {
  if (topology.nodes.length === 0) return { nodes: [], edges: [], cutX: 0, width: 0, height: 0 };
  const graph = new Graph({ multigraph: true });
  graph.setGraph({ rankdir: 'LR', nodesep: 14, ranksep: BETWEEN_RANKS, marginx: MARGIN, marginy: MARGIN });
  graph.setDefaultEdgeLabel(() => ({}));
  for (const node of topology.nodes) graph.setNode(node.key, { width: nodeWidth(node), height: HEIGHT });
  const known = new Set(topology.nodes.map((n) => n.key));
  const edges = topology.edges.filter((e) => known.has(e.from) && known.has(e.to));
  const ranks = frontRanks(topology, edges);
  const deepest = Math.max(0, ...ranks.values());
  for (const [i, edge] of edges.entries()) {
    const from = ranks.get(edge.from);
    const minlen = edge.kind === 'drive' && from !== undefined ? deepest - from + 1 : 1;
    graph.setEdge(edge.from, edge.to, { minlen, weight: edge.kind === 'drive' ? 2 : 4 }, String(i));
  }
  holdApart(graph, topology, edges, deepest);
  layout(graph);
  return collect(graph, topology, edges);
}

/** The length of the longest way to each node of the front end. */
function frontRanks(topology: Topology, edges: Topology['edges']): Map<string, number> {
  const ranks = new Map<string, number>();
  const front = topology.nodes.filter((n) => n.half === 'front');
  for (const node of front) ranks.set(node.key, 0);
  // The drawing is small and has no circles of its own; the bound ends a circle that a damaged line describes.
  for (let round = 0; round < front.length; round++) {
    let changed = false;
    for (const edge of edges) {
      const from = ranks.get(edge.from);
      const to = ranks.get(edge.to);
      if (from === undefined || to === undefined || to > from || to >= front.length) continue;
      ranks.set(edge.to, from + 1);
      changed = true;
    }
    if (!changed) break;
  }
  return ranks;
}

/** An invisible spine holds every root of the back end behind the front end. */
function holdApart(graph: Graph, topology: Topology, edges: Topology['edges'], deepest: number): void {
  const spine = '\u0000spine';
  graph.setNode(spine, { width: 0, height: 0 });
  const entered = new Set(edges.map((e) => e.to));
  for (const node of topology.nodes) {
    if (entered.has(node.key) && !topology.edges.some((e) => e.to === node.key && e.kind === 'drive'))
      continue;
    const minlen = node.half === 'front' ? 1 : deepest + 2;
    graph.setEdge(spine, node.key, { minlen, weight: node.half === 'front' ? 1 : 0 }, 'spine');
  }
}

function collect(graph: Graph, topology: Topology, edges: Topology['edges']): PlacedGraph {
  const nodes = topology.nodes.map((node): PlacedNode => {
    const at = graph.node(node.key) as { x: number; y: number; width: number; height: number };
    return {
      ...node,
      x: Math.round(at.x - at.width / 2),
      y: Math.round(at.y - at.height / 2),
      width: at.width,
      height: at.height,
    };
  });
  const left = Math.min(...nodes.map((n) => n.x));
  const top = Math.min(...nodes.map((n) => n.y));
  for (const node of nodes) {
    node.x -= left;
    node.y -= top;
  }
  const right = (half: TopologyNode['half']) => nodes.filter((n) => n.half === half);
  const frontEnd = Math.max(0, ...right('front').map((n) => n.x + n.width));
  const backStart = Math.min(...right('back').map((n) => n.x), Number.MAX_SAFE_INTEGER);
  const cutX =
    backStart === Number.MAX_SAFE_INTEGER
      ? frontEnd + BETWEEN_RANKS / 2
      : Math.round((frontEnd + backStart) / 2);
  return {
    nodes,
    edges: edges.map((e, i) => ({
      id: String(i),
      from: e.from,
      to: e.to,
      kind: e.kind,
      broken: e.broken === true,
    })),
    cutX,
    width: Math.max(cutX, ...nodes.map((n) => n.x + n.width)),
    height: Math.max(...nodes.map((n) => n.y + n.height)),
  };
}

function nodeWidth(node: TopologyNode): number {
  const longest = Math.max(node.label.length, (node.detail?.length ?? 0) * 0.92);
  return Math.round(Math.min(WIDEST, Math.max(NARROWEST, longest * CHARACTER + AROUND)));
}
