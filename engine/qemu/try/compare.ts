/** QEMU's trees beside those that Platter draws from the text alone, row by row, with the differences marked. */
import type { QemuBlockNode, QemuPciDevice, QemuTree } from '#contract/try.ts';
import type { BlockNode } from '../model/blockdev.ts';
import { placeDevices } from '../model/placement.ts';
import type { CommandLine, Span } from '../model.ts';
import { childNode, storageModel, type StorageModel } from '../storage-model.ts';

/**
 * `same`: both agree. `found`: QEMU alone knows it, as it must (a probed format, a backing file that the image names, the board's
 * own devices). `differs`, `missing` (ours alone): Platter is wrong or the trial changed it.
 */
export type RowState = 'same' | 'found' | 'differs' | 'missing';

export interface CompareRow {
  depth: number;
  state: RowState;
  /** What Platter has; absent for what QEMU alone has. */
  ours?: string;
  /** What QEMU has. */
  theirs?: string;
  detail?: string;
  span?: Span;
}

export interface Comparison {
  blocks: CompareRow[];
  pci: CompareRow[];
  differences: number;
}

/** @param touched places that the trial changed: what is different there is the trial's doing */
export function compareTrees(line: CommandLine, tree: QemuTree, touched: readonly Span[] = []): Comparison {
  const model = storageModel(line);
  const changed = (span: Span | undefined): boolean =>
    span !== undefined && touched.some((t) => t.start < span.end && span.start < t.end);
  const blocks = compareBlocks(model, tree, changed);
  const pci = comparePci(model, tree);
  const differences = [...blocks, ...pci].filter(
    (r) => r.state === 'differs' || r.state === 'missing',
  ).length;
  return { blocks, pci, differences };
}

function compareBlocks(model: StorageModel, tree: QemuTree, changed: (span?: Span) => boolean): CompareRow[] {
  const out: CompareRow[] = [];
  const left = new Set(tree.blocks);
  const used = new Set<BlockNode>();
  for (const drive of model.drives) {
    const found = tree.blocks.find((b) => b.owner === drive.id);
    if (found !== undefined) left.delete(found);
    const device = found?.device;
    out.push({
      depth: 0,
      state: found === undefined ? 'missing' : 'same',
      ours: drive.id,
      ...(found === undefined ? {} : { theirs: found.owner }),
      ...(device === undefined ? {} : { detail: device }),
      span: drive.span,
    });
    const empty = drive.root.children.length === 0 && drive.root.driver === '';
    if (found !== undefined && !(empty && found.root === undefined))
      compareNode(model, drive.root, found.root, 1, out, changed, used);
  }
  for (const node of model.blockdevs) {
    const isChild = model.blockdevs.some((other) =>
      other.children.some((c) => c.ref?.value !== undefined && c.ref.value === node.nodeName),
    );
    if (isChild) continue;
    const found = tree.blocks.find((b) => b.root?.name === node.nodeName);
    if (found !== undefined) left.delete(found);
    out.push({
      depth: 0,
      state: found === undefined ? 'missing' : 'same',
      ours: node.nodeName ?? node.driver,
      ...(found === undefined ? {} : { theirs: found.root?.name ?? '' }),
      ...(found?.device === undefined ? {} : { detail: found.device }),
      span: node.span,
    });
    if (found !== undefined) compareNode(model, node, found.root, 1, out, changed, used);
  }
  // Empty CD-ROM and floppy drives that every board has.
  for (const rest of left) {
    out.push({
      depth: 0,
      state: 'found',
      theirs: rest.owner,
      ...(rest.device === undefined ? {} : { detail: rest.device }),
    });
    if (rest.root !== undefined) addFound(rest.root, 1, out);
  }
  return out;
}

function label(driver: string, name: string | undefined, file: string | undefined): string {
  const shown = name === undefined || name.startsWith('#') ? '' : ` ${name}`;
  return `${driver}${shown}${file === undefined ? '' : ` ${file}`}`;
}

function addFound(node: QemuBlockNode, depth: number, out: CompareRow[]): void {
  out.push({ depth, state: 'found', theirs: label(node.driver, node.name, node.file), detail: node.role });
  for (const child of node.children) addFound(child, depth + 1, out);
}

function compareNode(
  model: StorageModel,
  ours: BlockNode,
  theirs: QemuBlockNode | undefined,
  depth: number,
  out: CompareRow[],
  changed: (span?: Span) => boolean,
  used: Set<BlockNode>,
): void {
  // A graph that bites its own tail is refused by QEMU and drawn here once.
  if (used.has(ours) || depth > 64) return;
  used.add(ours);
  const leaf = theirs !== undefined && theirs.children.length === 0;
  const file = leaf ? theirs.file : undefined;
  const mine = ours.layer === 'protocol' ? ours.filename : undefined;
  const guessed = ours.driver === '';
  const same =
    theirs !== undefined &&
    (guessed || ours.driver === theirs.driver || (changed(ours.span) && theirs.driver === 'file'));
  const detail = ours.nodeName;
  out.push({
    depth,
    state: theirs === undefined ? 'missing' : guessed ? 'found' : same ? 'same' : 'differs',
    ours: label(guessed ? '?' : ours.driver, ours.nodeName, mine),
    ...(theirs === undefined ? {} : { theirs: label(theirs.driver, theirs.name, file) }),
    ...(detail === undefined ? {} : { detail }),
    span: ours.span,
  });
  if (theirs === undefined) return;
  const rest = new Set(theirs.children);
  for (const child of ours.children) {
    if (child.cut === true) continue;
    const node = childNode(model, child);
    const match = theirs.children.find((c) => c.role === child.role || `children.${c.role}` === child.role);
    if (match !== undefined) rest.delete(match);
    if (node !== undefined) compareNode(model, node, match, depth + 1, out, changed, used);
  }
  for (const child of rest) addFound(child, depth + 1, out);
}

/** Devices by their `id=`, else by their address: what has neither in the line is the board's. */
function comparePci(model: StorageModel, tree: QemuTree): CompareRow[] {
  const out: CompareRow[] = [];
  const placement = placeDevices(model);
  const pending = new Set(placement.devices.filter((p) => p.bus?.type === 'PCI'));
  const visit = (devices: readonly QemuPciDevice[], bus: string | undefined, depth: number): void => {
    for (const device of devices) {
      const mine = [...pending].find((p) =>
        device.id === ''
          ? p.device.id === undefined &&
            p.address === device.address &&
            (bus === undefined || p.bus?.name === bus)
          : p.device.id === device.id,
      );
      if (mine !== undefined) pending.delete(mine);
      const what = `${device.address} ${device.id === '' ? '' : `${device.id} `}`.trimEnd();
      out.push({
        depth,
        state: mine === undefined ? 'found' : mine.address === device.address ? 'same' : 'differs',
        ...(mine === undefined
          ? {}
          : {
              ours: `${mine.address ?? '?'} ${mine.device.id ?? mine.device.driver}`,
              span: mine.device.span,
            }),
        theirs: mine !== undefined && device.id === '' ? `${what} ${mine.device.driver}` : what,
        detail: `${device.description} ${device.ids}`.trim(),
      });
      if (device.behind !== undefined)
        visit(device.behind, device.id === '' ? undefined : device.id, depth + 1);
    }
  };
  const groups = tree.pci.map((device) => {
    const from = out.length;
    visit([device], model.machine.pciRoot, 0);
    return out.slice(from);
  });
  // What the line plugs in comes first, the board's own after it.
  out.length = 0;
  const own = (rows: CompareRow[]): boolean => rows.some((r) => r.ours !== undefined);
  out.push(...groups.filter(own).flat(), ...groups.filter((rows) => !own(rows)).flat());
  for (const { device, address } of pending)
    out.push({
      depth: 0,
      state: 'missing',
      ours: `${address ?? '?'} ${device.id ?? device.driver}`,
      span: device.span,
    });
  return out;
}
