import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import type { DetailField, DetailView } from '#contract/lab-details.ts';
import { MemoryStorage } from '../../block/storage/memory.ts';
import { openImage } from '../../block/graph.ts';
import { createMemory } from '../../machine/memory.ts';
import { parseCommandLine } from '../../qemu/parse.ts';
import { E } from '../../trace/registry.ts';
import { createLab } from '../lab.ts';
import type { Lab } from '../types.ts';
import { followChain } from './chain.ts';

const MIB = 1024 * 1024;
const DRIVE = '-drive file=a.img,if=none,id=d0,format=raw';

async function lab(device: string, numberIos = 200): Promise<Lab> {
  const { node } = await openImage(new MemoryStorage(16 * MIB), { format: 'raw', readOnly: false });
  return createLab({
    line: parseCommandLine(`${DRIVE} ${device}`),
    drives: () => node,
    workload: {
      rw: 'randwrite',
      bs: 4096,
      iodepth: 4,
      numberIos,
      offset: 0,
      size: 0,
      rwmixread: 50,
      seed: 3,
      fsync: 0,
    },
  });
}

function view(it: Lab, details: string): DetailView {
  const frame = it.frame({ seq: 0, from: 0, count: 0, requestId: null, queue: null, details });
  if (frame.details === null) throw new Error('no details');
  return frame.details;
}
const named = (fields: readonly DetailField[], name: string): DetailField => {
  const found = fields.find((field) => field.name === name);
  if (found === undefined)
    throw new Error(`no ${name} among ${fields.map((field) => field.name).join(', ')}`);
  return found;
};
/** Goes on until this event was recorded. */
async function until(it: Lab, event: number): Promise<void> {
  do await it.step('event');
  while (it.trace.eventAt(it.trace.total - 1) !== event);
}

it.each([
  ['-M pc -device ide-hd,drive=d0', '00:01.1'],
  ['-M q35 -device ide-hd,drive=d0', '00:1f.2'],
  ['-M q35 -device pcie-root-port,id=rp -device virtio-blk-pci,bus=rp,drive=d0', '01:00.0'],
])('%s: bus, slot and function are those of the function', async (devices, address) => {
  expect(view(await lab(devices), 'pci').sections.find(({ id }) => id === 'pci')?.text).toBe(address);
});

it('the registers of a packet device are explained as its own, not as a disk’s', async () => {
  const { node } = await openImage(new MemoryStorage(MIB), { format: 'raw', readOnly: true });
  const it = createLab({
    line: parseCommandLine(`${DRIVE} -append libata.dma=0 -device ide-cd,drive=d0`),
    drives: () => node,
    workload: {
      rw: 'read',
      bs: 4096,
      iodepth: 1,
      numberIos: 4,
      offset: 0,
      size: 0,
      rwmixread: 50,
      seed: 3,
      fsync: 0,
    },
  });
  // The drive asks for the packet: C/D without I/O. Then it has the first piece of data: I/O without C/D.
  await until(it, E.atapi_send_cdb);
  const asking = view(it, 'task-file').fields;
  expect(named(asking, '0 C/D').tone).toBe('on');
  expect(named(asking, '1 I/O').tone).toBe('off');
  await until(it, E.ata_sff_pio_transfer_data);
  const moving = view(it, 'task-file').fields;
  expect(named(moving, '0 C/D').tone).toBe('off');
  expect(named(moving, '1 I/O').tone).toBe('on');
  expect(named(moving, 'Byte Count Low').text).toBe('4096 B');
  expect(moving.some(({ name }) => name === 'Sector Count' || name === 'LBA')).toBe(false);
});

describe('the registers of a virtio-blk-pci', () => {
  it('are those that the guest reads: identity, address, features, status', async () => {
    const it = await lab('-device virtio-blk-pci,drive=d0,addr=0x9,disable-legacy=on');
    const { sections, fields } = view(it, 'pci');
    expect(sections.map(({ id }) => id)).toEqual([
      'pci',
      'bars',
      'capabilities',
      'status',
      'features',
      'common',
      'isr',
      'config',
      'queue.0',
      'chains.0',
      'msix',
    ]);
    expect(sections[0].text).toBe('00:09.0');
    expect(named(fields, 'Vendor ID').value).toBe(0x1af4);
    expect(named(fields, 'Device ID').value).toBe(0x1042);
    expect(named(fields, '2 Bus Master').tone).toBe('on');
    const bar = view(it, 'bars').fields.filter(({ name }) => name === 'range address');
    expect(bar.map(({ place }) => place)).toEqual([
      { space: 'memory', address: expect.any(Number) },
      { space: 'memory', address: expect.any(Number) },
    ]);
    const status = view(it, 'status').fields;
    expect(named(status, 'device_status').value).toBe(0xf);
    expect(status.filter(({ meaning }) => meaning === 'status.write').map(({ value }) => value)).toEqual([
      0, 1, 3, 11, 15,
    ]);
    const features = view(it, 'features').fields;
    expect(named(features, '29 EVENT_IDX').tone).toBe('on');
    expect(features.filter(({ tone }) => tone === 'off')).toEqual([]);
    const config = named(view(it, 'config').fields, 'capacity');
    expect(config.value).toBe((16 * MIB) / 512);
    expect(config.place).toMatchObject({ space: 'bar', bar: 4, offset: 0x2000 });
  });

  it('unfold a request that is under way down to its header and status', async () => {
    const it = await lab('-device virtio-blk-pci,drive=d0');
    await until(it, E.virtio_blk_handle_write);
    const { fields } = view(it, 'chains.0');
    const head = named(fields, 'head 0');
    expect(head.request).toBe(1);
    const table = fields.filter(({ name }) => name.startsWith('table['));
    expect(table.slice(0, 3).map(({ text }) => text)).toEqual(['16 B NEXT', '4096 B NEXT', '1 B WRITE']);
    expect(named(fields, 'type').text).toBe('OUT');
    expect(named(fields, 'status').text).toBe('not answered yet');
    await until(it, E.virtqueue_fill);
    const used = named(view(it, 'chains.0').fields, 'status');
    expect(used.text).toBe('OK');
    expect(view(it, 'queue.0').fields.some(({ name }) => name === 'last_avail_idx')).toBe(true);
  });

  it('count what each vector was used for', async () => {
    const it = await lab('-device virtio-blk-pci,drive=d0');
    it.run();
    await it.done();
    const { fields } = view(it, 'msix');
    const vector = named(fields, 'vector 1');
    expect(vector.text).toBe('queue 0');
    expect(vector.value).toBe(it.trace.counts[E.virtio_notify_irqfd]);
    expect(named(fields, 'Message Data').text).toMatch(/^vector 0x/);
  });

  it('say what the first section is when another is not known', async () => {
    expect(view(await lab('-device virtio-blk-pci,drive=d0'), 'nothing').section).toBe('pci');
  });
});

it('every row of every section has its explanation in both languages, and a title', async () => {
  const missing: string[] = [];
  const texts = ['en', 'zh-CN'].map(
    (locale) =>
      JSON.parse(readFileSync(`resources/messages/${locale}/lab-details.json`, 'utf8')) as Record<
        string,
        string
      >,
  );
  for (const [device, event] of [
    ['virtio-blk-pci,drive=d0', E.virtio_blk_handle_write],
    ['virtio-blk-pci-non-transitional,vectors=0,num-queues=2,drive=d0', E.virtio_blk_handle_write],
    ['virtio-blk-pci,packed=on,drive=d0', E.virtio_blk_handle_write],
    ['virtio-scsi-pci -device scsi-hd,drive=d0', E.virtqueue_pop],
    ['ide-hd,drive=d0', E.ide_exec_cmd],
  ] as const) {
    const it = await lab(`-smp 2 -device ${device}`);
    await until(it, event);
    for (const { id, key } of view(it, 'pci').sections) {
      for (const catalogue of texts) {
        if (!(`section.${key}` in catalogue)) missing.push(`section.${key}`);
        for (const { meaning } of view(it, id).fields) if (!(meaning in catalogue)) missing.push(meaning);
      }
    }
  }
  expect([...new Set(missing)]).toEqual([]);
});

it('a command of virtio-scsi is decoded to words, and so is its answer', async () => {
  const it = await lab('-device virtio-scsi-pci -device scsi-hd,drive=d0');
  await until(it, E.virtqueue_pop);
  const { fields } = view(it, 'chains.2');
  expect(named(fields, 'opcode').text).toBe('WRITE(10)');
  expect(named(fields, 'transfer').value).toBe(8);
  await until(it, E.virtqueue_fill);
  expect(named(view(it, 'chains.2').fields, 'status').text).toBe('GOOD');
});

it('the task file of an IDE disk is that of the command that was written', async () => {
  const it = await lab('-device ide-hd,drive=d0');
  await until(it, E.ide_exec_cmd);
  const { fields } = view(it, 'task-file');
  expect(named(fields, 'Status').place).toEqual({ space: 'port', port: 0x177 });
  expect(named(fields, 'Sector Count').value).toBe(8);
  expect(named(fields, 'LBA').tone).toBe('plain');
  expect(view(it, 'bus-master').fields.some(({ name }) => name === 'PRD 0')).toBe(true);
});

it('a packed ring shows its wrap counters and a request that is under way', async () => {
  const it = await lab('-device virtio-blk-pci,drive=d0,packed=on');
  await until(it, E.virtio_blk_handle_write);
  const { fields } = view(it, 'queue.0');
  expect(named(fields, 'device: avail wrap counter').value).toBe(1);
  expect(named(view(it, 'chains.0').fields, 'type').text).toBe('OUT');
});

describe('virtio 1.2, section 2.7.5: a chain that the guest made wrong is shown as far as it goes', () => {
  const TABLE = 0x10_0000;
  function chain(
    descriptors: readonly (readonly [address: number, length: number, flags: number, next: number])[],
  ) {
    const memory = createMemory(2 * MIB);
    const at = memory.require(TABLE, 256);
    descriptors.forEach(([address, length, flags, next], i) => {
      memory.view.setUint32(at + i * 16, address, true);
      memory.view.setUint32(at + i * 16 + 8, length, true);
      memory.view.setUint16(at + i * 16 + 12, flags, true);
      memory.view.setUint16(at + i * 16 + 14, next, true);
    });
    return followChain(memory, TABLE, 8, 0);
  }
  it.each([
    [
      'loop',
      [
        [TABLE, 16, 1, 1],
        [TABLE, 16, 1, 0],
      ],
    ],
    ['next', [[TABLE, 16, 1, 9]]],
    ['outside', [[0xffff_0000, 16, 4, 0]]],
    ['indirect', [[TABLE, 17, 4, 0]]],
    [
      'indirect',
      [
        [TABLE + 16, 16, 4, 0],
        [TABLE + 16, 16, 4, 0],
      ],
    ],
    [
      undefined,
      [
        [TABLE, 16, 1, 1],
        [TABLE, 16, 0, 0],
      ],
    ],
  ] as const)('%s', (fault, descriptors) => {
    const found = chain(descriptors);
    expect(found.fault).toBe(fault);
    expect(found.descriptors.length).toBeLessThanOrEqual(9);
  });
});
