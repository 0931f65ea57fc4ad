/** Block nodes: `-blockdev`, and the graph that a `-drive` builds. Source: qapi/block-core.json, block.c. */
import type { CommandLine, Option, Param, Span } from '../model.ts';
import { FILTER_DRIVERS, parseFilename, PROTOCOL_DRIVERS } from './filename.ts';
import { keyTree, type KeyTree } from './tree.ts';
import { own } from './values.ts';

export interface BlockChild {
  /** `file`, `backing`, `image`, `children.0`, `data-file`, … */
  role: string;
  /** Written inline, */
  node?: BlockNode;
  /** or by node-name. */
  ref?: Param;
  /** `backing=` with an empty or null value: the image's own backing file is not opened. */
  cut?: boolean;
  span: Span;
}

export interface BlockNode {
  option: Option;
  driver: string;
  driverParam?: Param;
  nodeName?: string;
  nodeNameParam?: Param;
  layer: 'format' | 'filter' | 'protocol';
  children: BlockChild[];
  /** The driver's own options, children left out. */
  tree: KeyTree;
  /** File name, URL or server, when the node has one. */
  filename?: string;
  filenameParam?: Param;
  span: Span;
}

/** Members of a node that are other nodes (BlockdevRef in the schema). */
const CHILD_KEYS = new Set([
  'file',
  'backing',
  'data-file',
  'image',
  'test',
  'raw',
  'log',
  'target',
  'children',
  'header',
]);
/** Drivers in which a key of that name is no child. */
const PLAIN_KEYS: Record<string, Set<string>> = {
  nfs: new Set(['file']),
  host_device: new Set(['file']),
  iscsi: new Set(['target']),
  rbd: new Set(['image']),
};

/** Top nodes of every `-blockdev`, in order. */
export function readBlockdevs(line: CommandLine): BlockNode[] {
  return line.options
    .filter((o) => o.name === 'blockdev')
    .map((option) => readNode(option, keyTree(option.params), option.span));
}

export function layerOf(driver: string): BlockNode['layer'] {
  if (PROTOCOL_DRIVERS.has(driver)) return 'protocol';
  return FILTER_DRIVERS.has(driver) && driver !== 'raw' ? 'filter' : 'format';
}

/** A node from its tree of keys. */
export function readNode(option: Option, tree: KeyTree, span: Span): BlockNode {
  const driver = tree.children.get('driver')?.param;
  const nodeName = tree.children.get('node-name')?.param;
  const node: BlockNode = {
    option,
    driver: driver?.value ?? '',
    driverParam: driver,
    nodeName: nodeName?.value,
    nodeNameParam: nodeName,
    layer: layerOf(driver?.value ?? ''),
    children: [],
    tree,
    span,
  };
  const filename = filenameParam(tree);
  if (filename !== undefined) {
    node.filename = filename.value;
    node.filenameParam = filename;
  }
  if (node.filename === undefined) {
    const label = serverLabel(tree, node.driver);
    if (label !== undefined) node.filename = label;
  }
  for (const [key, sub] of tree.children) {
    if (CHILD_KEYS.has(key) && !(own(PLAIN_KEYS, node.driver)?.has(key) ?? false))
      addChildren(node, key, sub);
  }
  return node;
}

function filenameParam(tree: KeyTree): Param | undefined {
  return (
    tree.children.get('filename')?.param ?? tree.children.get('url')?.param ?? tree.children.get('dir')?.param
  );
}

/** Host and export of a network node that is written in options, for showing. */
function serverLabel(tree: KeyTree, driver: string): string | undefined {
  const get = (...path: string[]): string | undefined => {
    let at: KeyTree | undefined = tree;
    for (const part of path) at = at?.children.get(part);
    return at?.param?.value;
  };
  const host =
    get('server', 'host') ??
    get('server', 'path') ??
    get('host') ??
    get('portal') ??
    get('server', '0', 'host');
  const what = get('export') ?? get('target') ?? get('path') ?? get('image') ?? get('volume');
  const port = get('server', 'port') ?? get('port');
  const pool = get('pool');
  if (driver === 'rbd' && pool !== undefined) return `${pool}/${what ?? ''}`;
  if (host === undefined) return undefined;
  return `${host}${port === undefined ? '' : `:${port}`}${what === undefined ? '' : `/${what}`}`;
}

function addChildren(node: BlockNode, key: string, sub: KeyTree): void {
  if (key === 'children') {
    for (const [index, item] of sub.children) addChildren(node, `children.${index}`, item);
    return;
  }
  if (sub.children.size > 0) {
    const span = treeSpan(sub);
    node.children.push({ role: key, node: readNode(node.option, sub, span), span });
  } else if (sub.param !== undefined) {
    const empty = sub.param.value === '' || sub.param.json === 'null';
    node.children.push({ role: key, span: sub.param.span, ...(empty ? { cut: true } : { ref: sub.param }) });
  }
}

/** From the first to the last parameter below a key. */
export function treeSpan(tree: KeyTree): Span {
  let start = Number.MAX_SAFE_INTEGER;
  let end = 0;
  const visit = (t: KeyTree): void => {
    if (t.param !== undefined) {
      start = Math.min(start, t.param.span.start);
      end = Math.max(end, t.param.span.end);
    }
    for (const child of t.children.values()) visit(child);
  };
  visit(tree);
  return end === 0 ? { start: 0, end: 0 } : { start, end };
}

/** A protocol node from a file name. */
export function protocolNode(option: Option, name: string, span: Span, param?: Param): BlockNode {
  const parsed = parseFilename(name);
  return {
    option,
    driver: parsed.driver ?? '',
    layer: 'protocol',
    children: [],
    tree: { children: new Map() },
    filename: parsed.label,
    ...(param === undefined ? {} : { filenameParam: param }),
    span,
  };
}
