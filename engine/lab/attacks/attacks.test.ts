import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { MemoryStorage } from '../../block/storage/memory.ts';
import { openImage } from '../../block/graph.ts';
import { parseCommandLine } from '../../qemu/parse.ts';
import { createLab } from '../lab.ts';
import type { Lab } from '../types.ts';
import { ATTACKS } from './panel.ts';

const MIB = 1024 * 1024;

async function lab(options = ''): Promise<Lab> {
  const { node } = await openImage(new MemoryStorage(16 * MIB), { format: 'raw', readOnly: false });
  return createLab({
    line: parseCommandLine(
      `-drive file=a.img,if=none,id=d0,format=raw -device virtio-blk-pci,drive=d0${options}`,
    ),
    drives: () => node,
    workload: {
      rw: 'randrw',
      bs: 4096,
      iodepth: 8,
      numberIos: 400,
      offset: 0,
      size: 0,
      rwmixread: 50,
      seed: 3,
      fsync: 0,
    },
  });
}

const DEVICE_NEEDS_RESET = 0x40;

describe.each([
  ['as QEMU makes it', ''],
  ['with INTx and without ioeventfd', ',vectors=0,ioeventfd=off'],
  ['with a small queue', ',queue-size=16'],
])('the device %s, against a hostile driver', (_, options) => {
  it.each(ATTACKS.map(({ id }) => id))('%s: answers as it should, and a reset brings it back', async (id) => {
    const it = await lab(options);
    const attack = it.attacks().find((entry) => entry.id === id);
    expect(attack).toBeDefined();
    for (let i = 0; i < 200; i++) await it.step('event');
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
    expect(counters).toMatchObject({ requests: 400, errors: 0 });
  });
});

it('a workload goes on after every attack in a row', async () => {
  const it = await lab();
  for (const { id } of it.attacks()) expect(await it.attack(id)).toMatchObject({ id, recovered: true });
  it.run();
  await it.done();
  expect(it.frame({ seq: 0, from: 0, count: 0, requestId: null, queue: null }).counters).toMatchObject({
    requests: 400,
    errors: 0,
  });
});

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
