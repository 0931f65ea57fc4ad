/** virtio 1.2, section 5.2.4: the configuration space has the fields of Linux' own header, where that has them. */
import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { F } from '../features.ts';
import { arrayNode, openRig } from '../testing/rig.ts';
import { BLK_CONFIG, blkConfigSize } from './config.ts';
import { BLK_DEFAULTS } from './options.ts';

const HEADER = '/usr/include/linux/virtio_blk.h';
/** Where Linux calls a field otherwise than the specification. */
const LINUX_NAMES: Readonly<Record<string, string>> = { wce: 'writeback' };
const BYTES: Readonly<Record<string, number>> = { u8: 1, virtio16: 2, virtio32: 4, virtio64: 8 };

/** Offset of every field of `struct virtio_blk_config`, which is packed. */
function linuxLayout(header: string): Map<string, number> {
  const body = /struct virtio_blk_config \{([\s\S]*?)\} __attribute__/.exec(header)?.[1] ?? '';
  const fields = body.matchAll(/__(u8|virtio\d\d)\s+(\w+)(?:\[(\d+)\])?;/g);
  const layout = new Map<string, number>();
  let at = 0;
  for (const [, type, name, count = '1'] of fields) {
    layout.set(LINUX_NAMES[name] ?? name, at);
    at += BYTES[type] * Number(count);
  }
  return layout;
}

const snake = (name: string): string => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);

const ERASING = { sizeMax: 65536, secureErase: true, maxSecureEraseSectors: 4096 };

describe('virtio 1.2, section 5.2.4: configuration', () => {
  it('lies where linux/virtio_blk.h has it', ({ skip }) => {
    if (!existsSync(HEADER)) skip(`${HEADER} is not installed`);
    const layout = linuxLayout(readFileSync(HEADER, 'utf8'));
    const known = Object.entries(BLK_CONFIG).map(([name, offset]) => [snake(name), offset] as const);
    expect(layout.size).toBeGreaterThan(20);
    // Headers before Linux 5.19 end with write_zeroes_may_unmap.
    const expected = known.filter(([name]) => layout.has(name) || !name.includes('secure_erase'));
    expect(expected.map(([name]) => [name, layout.get(name)])).toEqual(expected);
  });

  it('is as long as the last feature that is offered needs, as QEMU cuts it', () => {
    const size = (properties: object): number => blkConfigSize({ ...BLK_DEFAULTS, ...properties });
    expect(size({})).toBe(57);
    expect(size({ writeZeroes: false })).toBe(48);
    expect(size({ writeZeroes: false, discard: false })).toBe(36);
    expect(size({ secureErase: true, writeZeroes: false, discard: false })).toBe(72);
  });

  it('tells size_max and the limits of secure erase, and neither unless the device has them', () => {
    const bit = (feature: number): bigint => 1n << BigInt(feature);
    const plain = openRig().device;
    expect(plain.offered & (bit(F.BLK_SIZE_MAX) | bit(F.BLK_SECURE_ERASE))).toBe(0n);
    expect(plain.readConfig(BLK_CONFIG.sizeMax, 4)).toBe(0);
    const { device } = openRig({
      properties: { ...ERASING, logicalBlockSize: 512, secureEraseGranularity: 8192 },
    });
    expect(device.offered & bit(F.BLK_SIZE_MAX)).not.toBe(0n);
    expect(device.offered & bit(F.BLK_SECURE_ERASE)).not.toBe(0n);
    const { sizeMax, maxSecureEraseSectors, maxSecureEraseSeg, secureEraseSectorAlignment } = BLK_CONFIG;
    const values = [sizeMax, maxSecureEraseSectors, maxSecureEraseSeg, secureEraseSectorAlignment];
    expect(values.map((at) => device.readConfig(at, 4))).toEqual([65536, 4096, 1, 16]);
  });

  it('section 5.2.5.2: unused bytes are 0, and the alignment of erasures never is', () => {
    const { device } = openRig({ node: arrayNode(65536), properties: ERASING });
    expect(device.readConfig(BLK_CONFIG.writeback + 1, 1)).toBe(0);
    expect([57, 58, 59].map((at) => device.readConfig(at, 1))).toEqual([0, 0, 0]);
    expect(device.readConfig(BLK_CONFIG.secureEraseSectorAlignment, 4)).toBe(1);
  });
});
