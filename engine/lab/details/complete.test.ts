/** Every value of the Device view answers three questions: what it is, where that is defined, and where it lies. */
import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import type { DetailField } from '#contract/lab-details.ts';
import { MemoryStorage } from '../../block/storage/memory.ts';
import { openImage } from '../../block/graph.ts';
import { parseCommandLine } from '../../qemu/parse.ts';
import { createLab } from '../lab.ts';
import type { Lab } from '../types.ts';

const DRIVE = '-drive file=a.img,if=none,id=d0,format=raw';
const SOCKET = '-chardev socket,id=c0,path=/run/v.sock';

async function lab(devices: string): Promise<Lab> {
  const { node } = await openImage(new MemoryStorage(4 * 1024 * 1024), { format: 'raw', readOnly: false });
  return createLab({
    line: parseCommandLine(`-smp 2 ${DRIVE} ${devices}`),
    drives: () => node,
    workload: {
      rw: devices.includes('ide-cd') ? 'randread' : 'randrw',
      bs: 4096,
      iodepth: 4,
      numberIos: 40,
      offset: 0,
      size: 0,
      rwmixread: 50,
      seed: 3,
      fsync: 8,
    },
  });
}

const catalogues = ['en', 'zh-CN'].map(
  (locale) => JSON.parse(readFileSync(`resources/messages/${locale}/lab-details.json`, 'utf8')) as object,
);

/** What a field does not say. */
function lacking(section: string, field: DetailField): string[] {
  const { name, meaning, source, place } = field;
  const missing = [
    catalogues.every((texts) => meaning in texts) ? '' : 'what it is',
    source === '' ? 'where it is defined' : '',
    place === null ? 'where it lies' : '',
  ].filter((text) => text !== '');
  return missing.length === 0 ? [] : [`${section}: ${name} (${meaning}): ${missing.join(', ')}`];
}

it.each([
  ['virtio-blk over PCI', '-device virtio-blk-pci,drive=d0'],
  ['virtio-blk, modern alone, packed', '-device virtio-blk-pci,disable-legacy=on,packed=on,drive=d0'],
  ['virtio-blk behind an IOMMU', '-device virtio-blk-pci,disable-legacy=on,iommu_platform=on,drive=d0'],
  ['virtio-blk, legacy alone', '-device virtio-blk-pci,disable-modern=on,drive=d0'],
  ['virtio-blk without MSI-X', '-device virtio-blk-pci,vectors=0,drive=d0'],
  ['virtio-blk over MMIO, version 1', '-device virtio-blk-device,drive=d0'],
  [
    'virtio-blk over MMIO, version 2',
    '-global virtio-mmio.force-legacy=false -device virtio-blk-device,drive=d0',
  ],
  ['virtio-scsi', '-device virtio-scsi-pci -device scsi-hd,drive=d0'],
  ['virtio-scsi, packed', '-device virtio-scsi-pci,packed=on -device scsi-hd,drive=d0'],
  ['virtio-scsi over MMIO, version 1', '-M microvm -device virtio-scsi-device -device scsi-hd,drive=d0'],
  [
    'virtio-scsi over MMIO, version 2',
    '-M microvm -global virtio-mmio.force-legacy=off -device virtio-scsi-device -device scsi-cd,drive=d0',
  ],
  ['virtio-scsi, a CD-ROM', '-device virtio-scsi-pci -device scsi-cd,drive=d0'],
  ['vhost-scsi', '-device vhost-scsi-pci,id=v0,wwpn=naa.5001405324af0985'],
  ['vhost-user-blk', `${SOCKET} -device vhost-user-blk-pci,id=v1,chardev=c0`],
  ['IDE', '-M pc -device ide-hd,drive=d0'],
  ['IDE by PIO', '-M pc -append libata.dma=0 -device ide-hd,drive=d0'],
  ['AHCI', '-M q35 -device ide-hd,drive=d0'],
  ['a CD-ROM drive on IDE', '-M pc -device ide-cd,drive=d0'],
  ['a CD-ROM drive on AHCI', '-M q35 -device ide-cd,drive=d0'],
  ['a PIIX4 in a slot', '-M q35 -device piix4-ide,id=p,addr=6 -device ide-hd,bus=p.1,drive=d0'],
  [
    'a device behind a root port',
    '-M q35 -device pcie-root-port,id=rp -device virtio-blk-pci,bus=rp,drive=d0',
  ],
])('%s: every value of every section says what, by whom, and where', async (_, devices) => {
  const it = await lab(devices);
  const missing = new Set<string>();
  const look = (): void => {
    const view = (details: string) =>
      it.frame({ seq: 0, from: 0, count: 0, requestId: null, queue: null, details }).details;
    for (const { id } of view('')?.sections ?? []) {
      for (const field of view(id)?.fields ?? []) {
        for (const text of lacking(id, field)) missing.add(text);
      }
    }
  };
  // While requests are at every station, and while the device has broken off.
  for (let round = 0; round < 120; round++) {
    await it.step('event');
    if (round % 3 === 0) look();
  }
  for (const { id } of it.attacks().slice(0, 2)) {
    await it.attack(id);
    look();
  }
  expect([...missing]).toEqual([]);
});
