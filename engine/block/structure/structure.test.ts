import { afterAll, describe, expect, it } from 'vitest';
import { readFileSync } from 'node:fs';
import * as fc from 'fast-check';
import { PlatterError } from '../../errors.ts';
import { mapByQemu, qemuImg, Scratch } from '../formats/shared/testing/oracle.ts';
import { openImage } from '../graph.ts';
import { MemoryStorage } from '../storage/memory.ts';
import { structureChildren, structureFields, structureNode } from './structure.ts';
import { samples, type Sample } from './testing/samples.ts';
import { walk } from './testing/walk.ts';

const scratch = new Scratch();
afterAll(() => scratch.dispose());
const all = samples(scratch);
const open = async ({ path, format }: Sample) => (await openImage(path, { format, backing: 'skip' })).node;

describe.each(all)('tree of $name', (sample) => {
  it('stays inside the file, fields inside their node, links lead somewhere', async () => {
    const image = await open(sample);
    const size = await image.format.storage.size();
    const nodes = await walk(image);
    expect(nodes.length).toBeGreaterThan(0);
    for (const { node, fields } of nodes) {
      expect(node.offset + node.length, node.path).toBeLessThanOrEqual(size);
      for (const field of fields) {
        const at = `${node.path} ${field.name}`;
        expect(field.offset, at).toBeGreaterThanOrEqual(node.offset);
        expect(field.offset + field.length, at).toBeLessThanOrEqual(node.offset + node.length);
        for (const link of field.links ?? []) {
          if (link.to === 'node') await structureNode(image, link.path);
          // Whole clusters of refcounts may stand for more than the file has.
          else if (link.to === 'host' && field.say?.key !== 'refcount-free')
            expect(link.offset, at).toBeLessThan(size);
          else if (link.to === 'guest') expect(link.offset, at).toBeLessThan(image.virtualSize);
        }
      }
    }
    await image.close();
  });

  // qemu-img maps what is locked only with its passphrase, and then as the disk, not as its tables lie.
  if (sample.locked !== true)
    it('says of every stretch that qemu-img maps where it lies', async () => {
      const image = await open(sample);
      const places = new Map<number, number>();
      for (const { node, fields } of await walk(image)) {
        if (node.path.startsWith('snapshots') || node.path.startsWith('backup')) continue;
        for (const { links = [] } of fields) {
          const guest = links.find((link) => link.to === 'guest');
          const host = links.find((link) => link.to === 'host');
          if (guest?.to === 'guest' && host?.to === 'host') places.set(guest.offset, host.offset);
        }
      }
      const step = image.clusterSize ?? 0;
      const stored = mapByQemu(sample.path, sample.format).filter(
        ({ data, offset, depth }) => data && depth === 0 && offset !== undefined,
      );
      // A fixed disk has no table to ask.
      if (step > 0 && places.size > 0) {
        for (const { start, length, offset } of stored) {
          for (let at = Math.ceil(start / step) * step; at < start + length; at += step) {
            expect(places.get(at), `guest ${at}`).toBe((offset as number) + at - start);
          }
        }
      }
      await image.close();
    });
});

describe('qcow2', () => {
  const sample = all.find(({ name }) => name === 'qcow2 with everything') as Sample;

  it('shows snapshots, the bitmap and extensions as qemu-img tells them', async () => {
    const image = await open(sample);
    const nodes = await walk(image);
    const named = (label: string) => nodes.filter(({ node }) => node.label === label);
    expect(named('snapshot').map(({ node }) => node.params['name'])).toEqual(['before', 'after']);
    expect(named('bitmap').map(({ node }) => node.params['name'])).toEqual(['seen']);
    expect(named('backing-name')[0].fields[0].value).toMatch(/base\.qcow2$/);
    const feature = named('ext-feature-names')[0].fields.map(({ value }) => value);
    expect(feature).toContain('dirty bit');
    const size = named('snapshot')[0].fields.find(({ name }) => name === 'disk_size');
    expect(size?.value).toBe(String(20 << 20));
    const info = JSON.parse(qemuImg('info', '--output=json', sample.path)) as {
      snapshots: { name: string }[];
    };
    expect(info.snapshots.map(({ name }) => name)).toEqual(['before', 'after']);
    await image.close();
  });

  it('pages through tables and says where to go on', async () => {
    const image = await open(sample);
    const first = await structureFields(image, 'refcounts/0', 0, 10);
    const second = await structureFields(image, 'refcounts/0', 10, 10);
    expect(first.total).toBe(32768);
    expect([...first.fields, ...second.fields].map(({ name }) => Number(name))).toEqual(
      Array.from({ length: 20 }, (_, index) => index),
    );
    const children = await structureChildren(image, '', 0, 2);
    expect(children.nodes.map(({ path }) => path)).toEqual(['header', 'extensions']);
    const rest = await structureChildren(image, '', children.next as number, 100);
    expect(rest.nodes.map(({ path }) => path)).toEqual([
      'backing',
      'l1',
      'refcounts',
      'snapshots',
      'bitmaps',
    ]);
    expect(rest.next).toBeNull();
    await image.close();
  });

  it.each(['nothing', 'l1/999999', 'l1/-1', 'l1/0x1', 'l1/0/0', 'snapshots/9', '/', 'header/'])(
    'knows no part %s',
    async (path) => {
      const image = await open(sample);
      await expect((async () => structureNode(image, path))()).rejects.toMatchObject({
        code: 'structure.no-node',
      });
      await image.close();
    },
  );
});

describe('hostile images', () => {
  it.each(all)(
    '$name with its tables changed: an answer or a named error, in bounded steps',
    async (sample) => {
      const bytes = readFileSync(sample.path);
      const image = await open(sample);
      const tables = (await walk(image)).map(({ node }) => node);
      await image.close();
      const change = fc.record({
        table: fc.nat(tables.length - 1),
        at: fc.nat(2047),
        value: fc.constantFrom(0, 1, 2, 0x7f, 0x80, 0xff),
      });
      let walked = 0;
      await fc.assert(
        fc.asyncProperty(fc.array(change, { minLength: 1, maxLength: 12 }), async (changes) => {
          const hostile = Uint8Array.from(bytes);
          for (const { table, at, value } of changes) {
            const { offset, length } = tables[table];
            hostile[offset + (at % Math.max(1, length))] = value;
          }
          const storage = new MemoryStorage(hostile, { readOnly: true });
          try {
            const { node } = await openImage(storage, { format: sample.format, backing: 'skip' });
            await walk(node, 5000);
            walked++;
          } catch (error) {
            if (!(error instanceof PlatterError)) throw error;
          }
        }),
        { numRuns: 30 },
      );
      // The only table of a fixed VHD carries a checksum: most changes are refused when it is opened.
      if (sample.name !== 'fixed vpc') expect(walked).toBeGreaterThan(0);
    },
  );
});
