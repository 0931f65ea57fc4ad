import { afterAll, describe, expect, it } from 'vitest';
import type { OwnedExtent } from '../../../contract/structure.ts';
import { OWNER_KINDS } from '../../../contract/structure.ts';
import { mapByQemu, Scratch } from '../formats/shared/testing/oracle.ts';
import { openImage } from '../graph.ts';
import { findOwners, type Owners } from './owners.ts';
import { structureFields, structureNode } from './structure.ts';
import { samples, type Sample } from './testing/samples.ts';

const scratch = new Scratch();
afterAll(() => scratch.dispose());
const all = samples(scratch);
const open = async ({ path, format }: Sample) => (await openImage(path, { format, backing: 'skip' })).node;

function everything(owners: Owners): OwnedExtent[] {
  const found: OwnedExtent[] = [];
  for (let from: number | null = 0; from !== null;) {
    const page = owners.page(from, 7);
    found.push(...page.extents);
    from = page.next;
  }
  return found;
}

describe.each(all)('owners of $name', (sample) => {
  it('cover the file from start to end, without gap or overlap', async () => {
    const image = await open(sample);
    const owners = await findOwners(image);
    let at = 0;
    for (const { offset, length } of everything(owners)) {
      expect(offset).toBe(at);
      expect(length).toBeGreaterThan(0);
      at += length;
    }
    expect(at).toBe(await image.format.storage.size());
    expect(owners.cut).toBe(false);
    await image.close();
  });

  // Of a locked image qemu-img maps nothing.
  if (sample.locked !== true)
    it('give each byte of data back to the guest offset that qemu-img maps there', async () => {
      const image = await open(sample);
      const owners = await findOwners(image);
      for (const { start, length, depth, data, offset } of mapByQemu(sample.path, sample.format)) {
        if (!data || depth > 0 || offset === undefined) continue;
        for (const part of [0, Math.floor(length / 2), length - 1]) {
          const owner = owners.at(offset + part);
          expect(owner?.kind).toBe('data');
          expect((owner?.guest ?? -1) + offset + part - (owner?.offset ?? 0)).toBe(start + part);
        }
      }
      await image.close();
    });

  it('name nodes that are there, and add up to the shares', async () => {
    const image = await open(sample);
    const owners = await findOwners(image);
    const extents = everything(owners);
    for (const { path, offset } of extents) {
      if (path === undefined) continue;
      const node = await structureNode(image, path);
      expect(node.offset).toBeLessThanOrEqual(offset);
    }
    const sums = OWNER_KINDS.map((kind) =>
      extents.filter((one) => one.kind === kind).reduce((sum, one) => sum + one.length, 0),
    );
    const shares = owners.shares(0, owners.fileSize, 37);
    const added = OWNER_KINDS.map((_, kind) => {
      let sum = 0;
      for (let cell = 0; cell < 37; cell++) sum += shares[cell * OWNER_KINDS.length + kind];
      return Math.round(sum);
    });
    expect(added).toEqual(sums);
    await image.close();
  });
});

describe.each(all.filter(({ format }) => format === 'qcow2'))('refcounts of $name', (sample) => {
  it('are above zero where somebody owns the cluster, and nowhere else', async () => {
    const image = await open(sample);
    const owners = await findOwners(image);
    const cluster = image.clusterSize as number;
    const used = new Set<number>();
    for (const { kind, offset, length } of everything(owners)) {
      if (kind === 'free') continue;
      for (let at = Math.floor(offset / cluster); at * cluster < offset + length; at++) used.add(at);
    }
    const counted = new Set<number>();
    const table = await structureFields(image, 'refcounts', 0, 4096);
    for (const { name, links } of table.fields) {
      if (links === undefined) continue;
      const block = await structureNode(image, `refcounts/${name}`);
      for (let start = 0; start < block.fieldCount; start += 4096) {
        const page = await structureFields(image, block.path, start, 4096);
        for (const field of page.fields) {
          if (field.value !== '0') counted.add(Number(block.params['host']) / cluster + Number(field.name));
        }
      }
    }
    expect([...used].toSorted((a, b) => a - b)).toEqual([...counted].toSorted((a, b) => a - b));
    await image.close();
  });
});

it('keeps no more rows than it may, and says so', async () => {
  const image = await open(all[2]);
  const owners = await findOwners(image, { most: 5 });
  expect(owners.cut).toBe(true);
  expect(owners.page(0, 1000).extents.filter(({ kind }) => kind !== 'free').length).toBeLessThanOrEqual(5);
  await image.close();
});
