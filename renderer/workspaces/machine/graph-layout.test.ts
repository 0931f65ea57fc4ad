import { describe, expect, it } from 'vitest';
import type { Topology, TopologyNode } from '#engine/qemu/model.ts';
import { placeGraph } from './graph-layout.ts';

const node = (key: string, kind: TopologyNode['kind'], half: TopologyNode['half']): TopologyNode => ({
  key,
  kind,
  half,
  label: key,
});

const line: Topology = {
  nodes: [
    node('machine', 'machine', 'front'),
    node('pci.0', 'bus', 'front'),
    node('slot 9', 'slot', 'front'),
    node('disk1', 'device', 'front'),
    node('drive1', 'drive', 'back'),
    node('qcow2', 'format', 'back'),
    node('file', 'file', 'back'),
    node('unused', 'drive', 'back'),
  ],
  edges: [
    { from: 'machine', to: 'pci.0', kind: 'plug' },
    { from: 'pci.0', to: 'slot 9', kind: 'plug' },
    { from: 'slot 9', to: 'disk1', kind: 'plug' },
    { from: 'disk1', to: 'drive1', kind: 'drive' },
    { from: 'drive1', to: 'qcow2', kind: 'child' },
    { from: 'qcow2', to: 'file', kind: 'child' },
  ],
};

describe('drawing of a line', () => {
  it('goes from left to right, with the whole front end before the cut', () => {
    const placed = placeGraph(line);
    const x = Object.fromEntries(placed.nodes.map((n) => [n.key, n.x]));
    expect(x.machine).toBeLessThan(x['pci.0']);
    expect(x['slot 9']).toBeLessThan(x.disk1);
    expect(x.drive1).toBeLessThan(x.qcow2);
    for (const n of placed.nodes)
      if (n.half === 'front') expect(n.x + n.width).toBeLessThan(placed.cutX);
      else expect(n.x).toBeGreaterThan(placed.cutX);
  });

  it('draws a device and what stands behind it as one straight line, unused drives below', () => {
    const placed = placeGraph(line);
    const y = Object.fromEntries(placed.nodes.map((n) => [n.key, n.y]));
    for (const key of ['pci.0', 'slot 9', 'disk1', 'drive1', 'qcow2', 'file']) expect(y[key]).toBe(y.machine);
    expect(y.unused).toBeGreaterThan(y.machine);
    const x = Object.fromEntries(placed.nodes.map((n) => [n.key, n.x]));
    expect(x.unused).toBe(x.drive1);
  });

  it('stands what is shared below those that share it', () => {
    const placed = placeGraph({
      nodes: [
        node('machine', 'machine', 'front'),
        node('a', 'device', 'front'),
        node('b', 'device', 'front'),
        node('io', 'iothread', 'front'),
      ],
      edges: [
        { from: 'machine', to: 'a', kind: 'plug' },
        { from: 'machine', to: 'b', kind: 'plug' },
        { from: 'a', to: 'io', kind: 'child' },
        { from: 'b', to: 'io', kind: 'child' },
      ],
    });
    const [, a, b, io] = placed.nodes;
    expect(io.x).toBeGreaterThan(a.x);
    expect(io.y).toBeGreaterThan(b.y);
  });

  it('overlaps nothing, however many disks there are', () => {
    const many: Topology = { nodes: [line.nodes[0]], edges: [] };
    for (let i = 0; i < 60; i++) {
      many.nodes.push(node(`d${i}`, 'device', 'front'), node(`b${i}`, 'drive', 'back'));
      many.edges.push(
        { from: 'machine', to: `d${i}`, kind: 'plug' },
        { from: `d${i}`, to: `b${i}`, kind: 'drive' },
      );
    }
    const { nodes } = placeGraph(many);
    const over = nodes.flatMap((a, i) =>
      nodes
        .slice(i + 1)
        .filter(
          (b) => a.x + a.width > b.x && b.x + b.width > a.x && a.y + a.height > b.y && b.y + b.height > a.y,
        )
        .map((b) => `${a.key} over ${b.key}`),
    );
    expect(over).toEqual([]);
  });

  it('survives edges to nowhere and circles', () => {
    const circle: Topology = {
      nodes: [node('a', 'bus', 'front'), node('b', 'controller', 'front')],
      edges: [
        { from: 'a', to: 'b', kind: 'plug' },
        { from: 'b', to: 'a', kind: 'plug' },
        { from: 'b', to: 'gone', kind: 'drive', broken: true },
      ],
    };
    expect(placeGraph(circle).nodes).toHaveLength(2);
    expect(placeGraph({ nodes: [], edges: [] }).nodes).toHaveLength(0);
  });
});
