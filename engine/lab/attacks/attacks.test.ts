import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { MemoryStorage } from '../../block/storage/memory.ts';
import { openImage } from '../../block/graph.ts';
import { parseCommandLine } from '../../qemu/parse.ts';
import { createLab } from '../lab.ts';
import type { Lab } from '../types.ts';
import { ATTACKS } from './panel.ts';

const MIB = 1024 * 1024;

async function lab(device = 'virtio-blk-pci,drive=d0'): Promise<Lab> {
  const { node } = await openImage(new MemoryStorage(16 * MIB), { format: 'raw', readOnly: false });
  return createLab({
    line: parseCommandLine(`-drive file=a.img,if=none,id=d0,format=raw -device ${device}`),
    drives: () => node,
    workload: {
      rw: 'randrw',
      bs: 4096,
      iodepth: 8,
      numberIos: 100,
      offset: 0,
      size: 0,
      rwmixread: 50,
      seed: 3,
      fsync: 0,
    },
  });
}

const DEVICE_NEEDS_RESET = 0x40;

describe('the device as QEMU makes it, against a hostile driver', () => {
  it.each(ATTACKS.filter(({ layout }) => layout !== 'packed').map(({ id }) => id))(
    '%s: answers as it should, and a reset brings it back',
    async (id) => {
      const it = await lab();
      const attack = it.attacks().find((entry) => entry.id === id);
      expect(attack).toBeDefined();
      for (let i = 0; i < 60; i++) await it.step('event');
      const result = await it.attack(id);
      expect(result).toMatchObject({ id, outcome: attack?.expects, expected: true, recovered: true });
      expect((result.status & DEVICE_NEEDS_RESET) !== 0).toBe(result.outcome === 'needs-reset');
      expect(result.error !== null).toBe(result.outcome === 'needs-reset');
      expect(result.lastEvent).toBeGreaterThan(result.firstEvent);
      expect(it.state).toBe('paused');
      it.run();
      await it.done();
      const { status, counters } = it.frame({ seq: 0, from: 0, count: 0, requestId: null, queue: null });
      expect(status).toBe('finished');
      expect(counters).toMatchObject({ requests: 100, errors: 0 });
    },
  );
});

it.each([
  ['virtio-blk-pci,vectors=0,ioeventfd=off,drive=d0', 30],
  ['virtio-blk-pci,queue-size=16,drive=d0', 30],
  ['virtio-blk-pci,packed=on,drive=d0', 10],
  ['virtio-blk-pci,disable-modern=on,drive=d0', 24],
  ['virtio-blk-device,drive=d0', 25],
  ['virtio-scsi-pci -device scsi-hd,drive=d0', 19],
])(
  '%s: every attack that fits it is answered as it should, and the workload goes on',
  async (device, count) => {
    const it = await lab(device);
    const attacks = it.attacks();
    expect(attacks).toHaveLength(count);
    for (let i = 0; i < 60; i++) await it.step('event');
    for (const { id } of attacks) {
      expect(await it.attack(id)).toMatchObject({ id, expected: true, recovered: true });
    }
    it.run();
    await it.done();
    expect(it.frame({ seq: 0, from: 0, count: 0, requestId: null, queue: null }).counters).toMatchObject({
      requests: 100,
      errors: 0,
    });
  },
);

it('names what it does not know', async () => {
  await expect((await lab()).attack('nothing')).rejects.toMatchObject({ code: 'lab.unknown-attack' });
});

it('every attack has its texts in both languages', () => {
  for (const locale of ['en', 'zh-CN']) {
    const texts = JSON.parse(readFileSync(`resources/messages/${locale}/lab-attacks.json`, 'utf8')) as object;
    const missing = ATTACKS.flatMap(({ id }) => [`${id}.title`, `${id}.text`]).filter(
      (key) => !(key in texts),
    );
    expect(missing).toEqual([]);
  }
});
