/** virtio 1.2, section 5.2.6: secure erase. */
import { readFileSync } from 'node:fs';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { openImage } from '../../block/graph.ts';
import type { BlockNode } from '../../block/node.ts';
import { qemuImg, qemuIo, testFolder } from '../../block/testing/qemu.ts';
import { PlatterError } from '../../errors.ts';
import { RunState } from '../../machine/run-state.ts';
import { F, STATUS } from '../features.ts';
import { arrayNode, header, openRig, segment, type Rig, type RigOptions } from '../testing/rig.ts';
import type { BlkProperties } from './options.ts';
import { BLK_S, BLK_T } from './protocol.ts';

const at = testFolder();
const SECTORS = 128;
const LAYOUTS = ['split', 'packed'] as const;

/** A disk of ones, and what was asked of it. */
function disk(sectors = SECTORS) {
  const node = arrayNode(sectors * 512);
  node.disk.fill(0xff);
  const asked: string[] = [];
  const told: BlockNode & { disk: Uint8Array } = {
    ...node,
    write: (offset, source) => (asked.push('write'), node.write(offset, source)),
    writeZeroes: (offset, length) => (asked.push('writeZeroes'), node.writeZeroes(offset, length)),
    discard: (offset, length) => (asked.push('discard'), node.discard(offset, length)),
    flush: () => void asked.push('flush'),
  };
  return { node: told, asked };
}

const erasing = (
  node: BlockNode,
  properties: Partial<BlkProperties> = {},
  options: Partial<RigOptions> = {},
): Rig =>
  openRig({
    node,
    features: [F.BLK_SECURE_ERASE],
    ...options,
    properties: { secureErase: true, maxSecureEraseSectors: 64, ...properties },
  });

describe.each(LAYOUTS)('virtio 1.2, section 5.2.6: secure erase (%s)', (layout) => {
  it('overwrites the sectors with zeroes that are stored, and flushes', () => {
    const { node, asked } = disk();
    const rig = erasing(node, {}, { layout });
    expect(rig.request(BLK_T.secureErase, 0, segment(8, 16), 0)).toMatchObject({
      status: BLK_S.ok,
      length: 1,
    });
    expect(asked).toEqual(['write', 'flush']);
    expect(node.disk.every((byte, i) => byte === (i >= 4096 && i < 12288 ? 0 : 0xff))).toBe(true);
  });

  it.each<[string, Uint8Array, number, Partial<BlkProperties>?]>([
    ['an unknown flag', segment(0, 1, 2), BLK_S.unsupp],
    ['unmap, which only write zeroes knows', segment(0, 1, 1), BLK_S.unsupp],
    ['an unknown flag past the end: the flag counts', segment(1 << 20, 1, 0x8000_0000), BLK_S.unsupp],
    ['two segments: max_secure_erase_seg is 1', new Uint8Array(32), BLK_S.unsupp],
    ['more sectors than max_secure_erase_sectors', segment(0, 65), BLK_S.ioerr],
    ['sectors past the end', segment(SECTORS - 1, 2), BLK_S.ioerr],
    ['a sector that wraps 64 bits', segment(0xffff_ffff_ffff_ffffn, 8), BLK_S.ioerr],
    ['a start between blocks', segment(1, 8), BLK_S.ioerr, { logicalBlockSize: 4096 }],
    ['half a block', segment(8, 4), BLK_S.ioerr, { logicalBlockSize: 4096 }],
    ['half of secure_erase_sector_alignment', segment(16, 8), BLK_S.ioerr, { secureEraseGranularity: 8192 }],
  ])('refuses %s, and writes nothing', (_, data, status, properties) => {
    const { node, asked } = disk();
    const rig = erasing(node, properties, { layout });
    expect(rig.request(BLK_T.secureErase, 0, data, 0).status).toBe(status);
    expect(asked).toEqual([]);
    expect(rig.device.isBroken).toBe(false);
  });

  it('a segment that is cut short lays the device down, as that of a discard does', () => {
    const rig = erasing(disk().node, {}, { layout });
    rig.offer([header(BLK_T.secureErase, 0), new Uint8Array(8), 1]);
    rig.go();
    expect(rig.device.error?.code).toBe('virtio.blk-segment');
    expect(rig.device.status & STATUS.needsReset).not.toBe(0);
    rig.restart();
    expect(rig.request(BLK_T.secureErase, 0, segment(0, 8), 0).status).toBe(BLK_S.ok);
  });

  it('is not for a read-only disk: section 5.2.6.2 has IOERR for what would write', () => {
    const { node, asked } = disk();
    const rig = erasing({ ...node, readOnly: true }, {}, { layout });
    expect(rig.request(BLK_T.secureErase, 0, segment(0, 8), 0).status).toBe(BLK_S.ioerr);
    expect(asked).toEqual([]);
  });

  it('is unknown to whoever did not negotiate it, and so is type 15 to everybody', () => {
    const { node, asked } = disk();
    const rig = erasing(node, {}, { layout, features: [] });
    expect(rig.request(BLK_T.secureErase, 0, segment(0, 8), 0).status).toBe(BLK_S.unsupp);
    const other = erasing(node, {}, { layout });
    expect(other.request(BLK_T.secureErase | BLK_T.out, 0, segment(0, 8), 0).status).toBe(BLK_S.unsupp);
    expect(asked).toEqual([]);
  });

  it('what was agreed on ends with a reset', () => {
    const { node } = disk();
    const rig = erasing(node, {}, { layout });
    expect(rig.request(BLK_T.secureErase, 0, segment(0, 8), 0).status).toBe(BLK_S.ok);
    rig.restart([]);
    expect(rig.request(BLK_T.secureErase, 0, segment(0, 8), 0).status).toBe(BLK_S.unsupp);
  });
});

it('the disk’s end need not lie on the alignment', () => {
  const { node } = disk(100);
  const rig = erasing(node, { secureEraseGranularity: 8192 });
  expect(rig.request(BLK_T.secureErase, 0, segment(96, 4), 0).status).toBe(BLK_S.ok);
  expect(node.disk.subarray(96 * 512).every((byte) => byte === 0)).toBe(true);
});

it('any segment: the status that the rules give, and no byte changes but those of the range', () => {
  const sector = fc.oneof(fc.nat(SECTORS + 8), fc.constantFrom(2 ** 31, 2 ** 32 - 1));
  const flags = fc.oneof(
    { weight: 4, arbitrary: fc.constant(0) },
    { arbitrary: fc.nat(0xffff_ffff), weight: 1 },
  );
  fc.assert(
    fc.property(sector, fc.nat(80), flags, fc.constantFrom(512, 1024, 4096), (start, count, flag, block) => {
      const { node, asked } = disk();
      const rig = erasing(node, { logicalBlockSize: block });
      const { status } = rig.request(BLK_T.secureErase, 0, segment(start, count, flag), 0);
      const blocks = block / 512;
      const whole = start % blocks === 0 && count % blocks === 0;
      const fits = start + count <= SECTORS && count <= 64 && (whole || start + count === SECTORS);
      const good = fits && start % blocks === 0;
      expect(status).toBe(flag !== 0 ? BLK_S.unsupp : good ? BLK_S.ok : BLK_S.ioerr);
      const erased = (i: number): boolean =>
        status === BLK_S.ok && i >= start * 512 && i < (start + count) * 512;
      expect(node.disk.every((byte, i) => byte === (erased(i) ? 0 : 0xff))).toBe(true);
      expect(asked.includes('flush')).toBe(status === BLK_S.ok);
    }),
    { numRuns: 200 },
  );
});

it('a disk that answers later, piece by piece', async () => {
  const pieces: number[] = [];
  const node: BlockNode = {
    ...arrayNode(4 << 20),
    write: async (_, source) => {
      await Promise.resolve();
      pieces.push(source.length);
    },
    flush: async () => {
      await Promise.resolve();
      pieces.push(0);
    },
  };
  const rig = erasing(node, { maxSecureEraseSectors: 8192 });
  const places = rig.offer([header(BLK_T.secureErase, 0), segment(0, 5000), 1]);
  rig.go();
  expect(rig.ring.take()).toBe(false);
  await new Promise((resolve) => setImmediate(resolve));
  expect(rig.memory.readUint(places[2], 1)).toBe(BLK_S.ok);
  expect(pieces.at(-1)).toBe(0);
  expect(pieces.reduce((sum, bytes) => sum + bytes, 0)).toBe(5000 * 512);
});

it('werror=stop: the machine stands still, and cont erases', () => {
  const { node } = disk();
  let full = true;
  const failing: BlockNode = {
    ...node,
    write: (offset, source) => {
      if (full) throw new PlatterError('storage.no-space', 'full');
      return node.write(offset, source);
    },
  };
  const runState = new RunState();
  const rig = erasing(failing, { werror: 'stop' }, { runState });
  const places = rig.offer([header(BLK_T.secureErase, 0), segment(0, 8), 1]);
  rig.go();
  expect(runState.status).toBe('io-error');
  // The range that was checked is the one that is erased.
  rig.memory.write(places[1], segment(64, 8));
  full = false;
  runState.cont();
  rig.device.process();
  expect(rig.memory.readUint(places[2], 1)).toBe(BLK_S.ok);
  expect(node.disk.every((byte, i) => byte === (i < 4096 ? 0 : 0xff))).toBe(true);
});

it('in a qcow2 image the clusters stay allocated, as qemu-img sees them, and hold nothing any more', async () => {
  const path = at('erased.qcow2');
  qemuImg('create', '-q', '-f', 'qcow2', path, '1M');
  qemuIo(path, 'write -P 0xaa 0 1M');
  const { node } = await openImage(path, { readOnly: false });
  const rig = erasing(node, { maxSecureEraseSectors: 2048 });
  expect(rig.request(BLK_T.secureErase, 0, segment(128, 256), 0).status).toBe(BLK_S.ok);
  await node.close();
  qemuIo(path, 'read -P 0xaa 0 64k', 'read -P 0 64k 128k', 'read -P 0xaa 192k 832k');
  const map = JSON.parse(qemuImg('map', '--output=json', path)) as { data: boolean; zero: boolean }[];
  expect(map.every(({ data, zero }) => data && !zero)).toBe(true);
  // Nothing of them is left anywhere in the file.
  const file = readFileSync(path);
  const left = file.reduce((sum, byte) => sum + (byte === 0xaa ? 1 : 0), 0);
  expect(left).toBe((1 << 20) - 256 * 512);
});
