import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { MemoryStorage } from '../../block/storage/memory.ts';
import { openImage } from '../../block/graph.ts';
import { parseCommandLine } from '../../qemu/parse.ts';
import { createLab } from '../lab.ts';
import type { Lab } from '../types.ts';
import { AHCI_ATTACKS } from './ahci.ts';
import { ATAPI_ATTACKS } from './atapi.ts';
import { IDE_ATTACKS } from './ide.ts';
import { VIRTIO_ATTACKS } from './virtio.ts';

const DISK_BYTES = 1024 * 1024;
const ALL = [...VIRTIO_ATTACKS, ...IDE_ATTACKS, ...ATAPI_ATTACKS, ...AHCI_ATTACKS];
const DEVICE_NEEDS_RESET = 0x40;

/** Something everywhere, so that what an attack wrote can be seen. */
const CONTENT = new Uint8Array(DISK_BYTES).map((_, i) => (i * 31 + (i >> 9)) & 0xff);

async function lab(devices: string): Promise<{ it: Lab; changed: () => boolean }> {
  const storage = new MemoryStorage(CONTENT);
  const { node } = await openImage(storage, { format: 'raw', readOnly: false });
  const it = createLab({
    line: parseCommandLine(`-drive file=a.img,if=none,id=d0,format=raw ${devices}`),
    drives: () => node,
    workload: {
      rw: 'randread',
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
  const changed = (): boolean => {
    const now = new Uint8Array(DISK_BYTES);
    storage.read(0, now);
    return Buffer.compare(now, CONTENT) !== 0;
  };
  return { it, changed };
}

const SOCKET = '-chardev socket,id=c0,path=/run/v.sock';

describe.each([
  ['virtio-blk, split', '-device virtio-blk-pci,drive=d0', 36],
  ['virtio-blk, split, a small queue', '-device virtio-blk-pci,queue-size=16,drive=d0', 36],
  ['virtio-blk without vectors', '-device virtio-blk-pci,vectors=0,ioeventfd=off,drive=d0', 36],
  ['virtio-blk, packed', '-device virtio-blk-pci,packed=on,drive=d0', 33],
  ['virtio-blk, legacy', '-device virtio-blk-pci,disable-modern=on,drive=d0', 32],
  ['virtio-blk, MMIO 1', '-device virtio-blk-device,drive=d0', 32],
  ['virtio-blk, MMIO 2', '-global virtio-mmio.force-legacy=false -device virtio-blk-device,drive=d0', 33],
  ['virtio-scsi, split', '-device virtio-scsi-pci -device scsi-hd,drive=d0', 53],
  ['virtio-scsi, packed', '-device virtio-scsi-pci,packed=on -device scsi-hd,drive=d0', 50],
  ['virtio-scsi, legacy', '-device virtio-scsi-pci,disable-modern=on -device scsi-hd,drive=d0', 49],
  ['virtio-scsi, MMIO 1', '-M microvm -device virtio-scsi-device -device scsi-hd,drive=d0', 49],
  [
    'virtio-scsi, MMIO 2, packed',
    '-M microvm -global virtio-mmio.force-legacy=false -device virtio-scsi-device,packed=on -device scsi-hd,drive=d0',
    47,
  ],
  ['virtio-scsi, a CD-ROM', '-device virtio-scsi-pci -device scsi-cd,drive=d0', 52],
  ['vhost-user-blk, split', `${SOCKET} -device vhost-user-blk-pci,id=v1,chardev=c0`, 36],
  ['vhost-user-blk, packed', `${SOCKET} -device vhost-user-blk-pci,packed=on,id=v1,chardev=c0`, 33],
  ['vhost-scsi, split', '-device vhost-scsi-pci,id=v0,wwpn=naa.5001405324af0985', 53],
  ['vhost-scsi, packed', '-device vhost-scsi-pci,packed=on,id=v0,wwpn=naa.5001405324af0985', 50],
  ['IDE', '-M pc -device ide-hd,drive=d0', 20],
  ['IDE by PIO, the second drive', '-M pc -append libata.dma=0 -device ide-hd,unit=1,drive=d0', 20],
  ['AHCI of the board', '-M q35 -device ide-hd,drive=d0', 26],
  ['AHCI of the board, a CD-ROM', '-M q35 -device ide-cd,drive=d0', 10],
  ['IDE, a CD-ROM', '-M pc -device ide-cd,drive=d0', 10],
  ['AHCI in a slot', '-M pc -device ahci,id=a0 -device ide-hd,bus=a0.1,drive=d0', 26],
])('a hostile driver of %s', (_, devices, count) => {
  it('is answered as the specification says every time, changes nothing on the disk, and leaves a device that works', async () => {
    const { it, changed } = await lab(devices);
    const attacks = it.attacks();
    expect(attacks).toHaveLength(count);
    for (let i = 0; i < 60; i++) await it.step('event');
    for (const { id, expects } of attacks) {
      const result = await it.attack(id);
      expect(result).toMatchObject({ id, outcome: expects, expected: true, recovered: true });
      expect(result.error !== null, id).toBe(expects === 'needs-reset' || expects === 'silent');
      expect(result.lastEvent).toBeGreaterThan(result.firstEvent);
      const [first] = result.answers;
      const broken = first.name === 'device_status' && (first.value & DEVICE_NEEDS_RESET) !== 0;
      expect(broken, id).toBe(expects === 'needs-reset');
      expect(it.state).toBe('paused');
    }
    expect(changed()).toBe(false);
    it.run();
    await it.done();
    const { status, counters } = it.frame({ seq: 0, from: 0, count: 0, requestId: null, queue: null });
    expect(status).toBe('finished');
    expect(counters).toMatchObject({ requests: 100, errors: 0 });
  });
});

it('says what the driver reads, in the words of the specification', async () => {
  const words = async (devices: string, id: string): Promise<string[]> => {
    const { it } = await lab(devices);
    return (await it.attack(id)).answers.map((answer) => `${answer.name}: ${answer.words}`);
  };
  expect(await words('-device virtio-blk-pci,drive=d0', 'unknown-type')).toContain('status: UNSUPP');
  expect(await words('-device virtio-scsi-pci -device scsi-hd,drive=d0', 'scsi-past-capacity')).toEqual([
    'device_status: ACKNOWLEDGE|DRIVER|DRIVER_OK|FEATURES_OK',
    'response: OK',
    'status: CHECK CONDITION',
    'sense key: ILLEGAL REQUEST',
    'asc, ascq: LOGICAL BLOCK ADDRESS OUT OF RANGE',
  ]);
  expect(await words('-device virtio-scsi-pci -device scsi-hd,drive=d0', 'tmf-unknown')).toContain(
    'status: FUNCTION_REJECTED',
  );
  expect(await words('-M pc -device ide-hd,drive=d0', 'ide-unknown-command')).toEqual([
    'Status: DRDY|ERR',
    'Error: ABRT',
    'Bus Master Status: Interrupt',
  ]);
});

it('names what it does not know', async () => {
  const { it } = await lab('-device virtio-blk-pci,drive=d0');
  await expect(it.attack('nothing')).rejects.toMatchObject({ code: 'lab.unknown-attack' });
});

it('every attack has an id of its own and its texts in both languages', () => {
  expect(new Set(ALL.map(({ id }) => id)).size).toBe(ALL.length);
  for (const locale of ['en', 'zh-CN']) {
    const texts = JSON.parse(readFileSync(`resources/messages/${locale}/lab-attacks.json`, 'utf8')) as object;
    const missing = ALL.flatMap(({ id }) => [`${id}.title`, `${id}.text`, `${id}.rule`]).filter(
      (key) => !(key in texts),
    );
    expect(missing).toEqual([]);
  }
});
