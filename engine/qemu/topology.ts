/**
 * The line as a drawing: front end (machine, bus, slot, controller, device) on the left, back end (drive, format, filters,
 * protocol, file) on the right, and `drive=` as the bridge over the cut between them.
 */
import { lint } from './lint.ts';
import type { CommandLine, LintContext, Problem, Severity, Topology, TopologyNode } from './model.ts';
import { placeDevices, type PlacedDevice } from './model/placement.ts';
import { deviceParam } from './model/devices.ts';
import {
  childNode,
  driveOf,
  storageModel,
  type BlockNode,
  type Drive,
  type StorageModel,
} from './storage-model.ts';

const RANK: Record<Severity, number> = { danger: 5, error: 4, warning: 3, silent: 2, info: 1 };

/** The drawing. `problems` may be handed in when they are known already. */
export function topology(line: CommandLine, context: LintContext, problems = lint(line, context)): Topology {
  return new Drawing(storageModel(line), problems).draw();
}

class Drawing {
  private readonly nodes = new Map<string, TopologyNode>();
  private readonly edges: Topology['edges'] = [];
  private readonly keys = new Map<unknown, string>();
  /** The number for the next piece of a name that occurs more than once. */
  private readonly next = new Map<string, number>();
  private readonly model: StorageModel;
  private readonly problems: readonly Problem[];

  constructor(model: StorageModel, problems: readonly Problem[]) {
    this.model = model;
    this.problems = problems;
  }

  draw(): Topology {
    const { machine } = this.model;
    this.add({
      key: 'machine',
      kind: 'machine',
      half: 'front',
      label: machine.type,
      detail: machine.arch,
      span: machine.typeParam?.span,
    });
    const placement = placeDevices(this.model);
    for (const placed of placement.devices) this.placed(placed);
    for (const drive of this.model.drives) this.drive(drive);
    for (const node of this.model.blockdevs) this.block(node);
    for (const placed of placement.devices) this.bridge(placed);
    this.automatic();
    for (const object of this.model.objects) {
      if (object.type !== 'iothread') continue;
      const key = `iothread:${object.id ?? ''}`;
      this.add({ key, kind: 'iothread', half: 'front', label: object.id ?? 'iothread', span: object.span });
    }
    for (const device of this.model.devices) {
      const thread = deviceParam(device, 'iothread')?.value;
      const from = this.keys.get(device);
      if (thread !== undefined && from !== undefined && this.nodes.has(`iothread:${thread}`)) {
        this.edges.push({ from, to: `iothread:${thread}`, kind: 'child' });
      }
    }
    this.paint();
    return { nodes: [...this.nodes.values()], edges: this.edges };
  }

  private add(node: TopologyNode): string {
    let key = node.key;
    for (let i = this.next.get(node.key) ?? 2; this.nodes.has(key); i++) {
      key = `${node.key}#${String(i)}`;
      this.next.set(node.key, i + 1);
    }
    this.nodes.set(key, key === node.key ? node : { ...node, key });
    return key;
  }

  /** The bus, made on first use below its owner. */
  private bus(name: string, type: string, owner: string): string {
    const key = `bus:${name}`;
    if (!this.nodes.has(key)) {
      this.nodes.set(key, { key, kind: 'bus', half: 'front', label: name, detail: type });
      this.edges.push({ from: owner, to: key, kind: 'plug' });
    }
    return key;
  }

  private placed(placed: PlacedDevice): void {
    const { device, bus } = placed;
    const role = device.kind?.role;
    if (device.kind === undefined) return;
    let parent = 'machine';
    if (bus === undefined) {
      const wanted = placed.wantedBus ?? device.kind.bus;
      parent = this.bus(wanted, device.kind.bus, 'machine');
      const node = this.nodes.get(parent);
      if (node !== undefined) node.kind = 'missing';
    } else {
      const owner = bus.owner === undefined ? 'machine' : (this.keys.get(bus.owner) ?? 'machine');
      parent = this.bus(bus.name, bus.type, owner);
    }
    if (placed.address !== undefined && device.kind.bus === 'PCI') {
      const slot = `slot:${bus?.name ?? ''}:${placed.address}`;
      if (!this.nodes.has(slot)) {
        this.nodes.set(slot, {
          key: slot,
          kind: 'slot',
          half: 'front',
          label: placed.address,
          span: placed.addressParam?.span,
        });
        this.edges.push({ from: parent, to: slot, kind: 'plug' });
      }
      parent = slot;
    }
    const detail =
      placed.address === undefined || device.kind.bus === 'PCI'
        ? device.driver
        : `${device.driver} ${placed.address}`;
    const key = this.add({
      key: `device:${device.id ?? String(this.model.devices.indexOf(device))}`,
      kind: role === 'controller' || role === 'bridge' ? 'controller' : 'device',
      half: 'front',
      label: device.id ?? device.driver,
      detail,
      span: device.span,
    });
    this.keys.set(device, key);
    this.edges.push({ from: parent, to: key, kind: 'plug' });
  }

  private drive(drive: Drive): void {
    const key = this.add({
      key: `drive:${drive.id}`,
      kind: 'drive',
      half: 'back',
      label: drive.id,
      detail: `if=${drive.if}`,
      span: drive.span,
    });
    this.keys.set(drive, key);
    const root = drive.root;
    if (root.children.length > 0 || root.filename !== undefined || root.driver !== '') {
      this.edges.push({ from: key, to: this.block(root), kind: 'child' });
    }
  }

  private block(node: BlockNode): string {
    const known = this.keys.get(node);
    if (known !== undefined) return known;
    const name = node.nodeName ?? `#${String(node.span.start)}:${node.layer}`;
    const key = this.add({
      key: `node:${name}`,
      kind: node.layer,
      half: 'back',
      label: node.nodeName ?? (node.driver === '' ? '?' : node.driver),
      detail: node.nodeName === undefined ? undefined : node.driver,
      span: node.span,
    });
    this.keys.set(node, key);
    if (node.layer === 'protocol' && node.filename !== undefined && node.filename !== '') {
      const file = `file:${node.filename}`;
      if (!this.nodes.has(file)) {
        this.nodes.set(file, {
          key: file,
          kind: 'file',
          half: 'back',
          label: node.filename,
          span: node.filenameParam?.valueSpan ?? node.span,
        });
      }
      this.edges.push({ from: key, to: file, kind: 'child' });
    }
    for (const child of node.children) {
      if (child.cut === true) continue;
      const target = childNode(this.model, child);
      const kind = child.role === 'backing' ? 'backing' : 'child';
      if (target !== undefined) this.edges.push({ from: key, to: this.block(target), kind });
      else this.missing(key, child.ref?.value ?? '', kind, child.span);
    }
    return key;
  }

  private missing(
    from: string,
    label: string,
    kind: 'drive' | 'child' | 'backing',
    span?: TopologyNode['span'],
  ): void {
    const key = `missing:${label}`;
    if (!this.nodes.has(key)) this.nodes.set(key, { key, kind: 'missing', half: 'back', label, span });
    this.edges.push({ from, to: key, kind, broken: true });
  }

  private bridge({ device }: PlacedDevice): void {
    const from = this.keys.get(device);
    if (from === undefined || device.drive === undefined) return;
    const target = driveOf(this.model, device);
    const to = target === undefined ? undefined : this.keys.get(target);
    if (to === undefined) this.missing(from, device.drive.value, 'drive', device.drive.valueSpan);
    else this.edges.push({ from, to, kind: 'drive' });
  }

  /** Devices that the board makes for `if=ide`, `if=virtio`, … and the short options. */
  private automatic(): void {
    const { machine } = this.model;
    const device: Record<string, string | undefined> = {
      ide: 'ide-hd',
      virtio: 'virtio-blk-pci',
      floppy: 'floppy',
      pflash: 'cfi.pflash01',
      sd: 'sd-card',
    };
    for (const drive of this.model.drives) {
      const driver = drive.if === 'ide' && drive.media === 'cdrom' ? 'ide-cd' : device[drive.if];
      const to = this.keys.get(drive);
      if (driver === undefined || to === undefined) continue;
      const type = drive.if === 'ide' ? 'IDE' : drive.if === 'virtio' ? 'PCI' : drive.if;
      const name =
        drive.if === 'ide'
          ? `ide.${String(drive.bus)}`
          : drive.if === 'virtio'
            ? (machine.pciRoot ?? 'virtio-bus')
            : drive.if;
      const bus = this.bus(name, type, 'machine');
      const key = this.add({
        key: `auto:${drive.id}`,
        kind: 'device',
        half: 'front',
        label: driver,
        detail: drive.id,
        span: drive.span,
      });
      this.edges.push({ from: bus, to: key, kind: 'plug' }, { from: key, to, kind: 'drive' });
    }
  }

  /** Gives every node the worst problem that lies in its span and in no smaller node's. */
  private paint(): void {
    for (const problem of this.problems) {
      let best: TopologyNode | undefined;
      let size = Number.POSITIVE_INFINITY;
      for (const node of this.nodes.values()) {
        if (node.span === undefined) continue;
        const { start, end } = node.span;
        if (start <= problem.span.start && end >= problem.span.end && end - start < size) {
          best = node;
          size = end - start;
        }
      }
      if (
        best !== undefined &&
        (best.severity === undefined || RANK[problem.severity] > RANK[best.severity])
      ) {
        best.severity = problem.severity;
      }
    }
  }
}
