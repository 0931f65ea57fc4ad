import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import type { DetailField } from '#contract/lab-details.ts';
import { HBA, HEADER, PORT, PORTS_AT, PXCMD, RECEIVED } from '../../ide/ahci/registers.ts';
import { CMD } from '../../ide/ata.ts';
import { AhciRig, AT, DISK_BYTES, lateNode, REGISTERS } from '../../ide/testing/rig.ts';
import { arrayNode } from '../../virtio/testing/rig.ts';
import { ahciSections, bitNumbers } from './ahci.ts';

const fieldsOf = ({ device }: AhciRig, id: string): DetailField[] =>
  ahciSections({ device, port: device.ports[0] })
    .find((section) => section.id === id)!
    .fields();
function named(fields: readonly DetailField[], name: string): DetailField {
  const found = fields.find((field) => field.name === name);
  if (found === undefined) throw new Error(`no ${name}: ${fields.map((field) => field.name).join(', ')}`);
  return found;
}
/** READ FPDMA QUEUED of 8 sectors from 5, tag 0, which the disk has not yet answered. */
function queued(): { rig: AhciRig; node: ReturnType<typeof lateNode> } {
  const node = lateNode(DISK_BYTES);
  const rig = new AhciRig(node);
  rig.start();
  rig.setPort(PORT.sact, 1);
  rig.command(
    [CMD.readFpdmaQueued, 8, 5, 0, 0, 0x40, 0, 0, 0, 0, 0],
    [
      [AT.data, 1024],
      [AT.data + 8192, 3072],
    ],
  );
  return { rig, node };
}
/** The disk answers, one region after the other. */
async function answered(rig: AhciRig, node: ReturnType<typeof lateNode>): Promise<void> {
  for (let region = 0; region < 2; region++) {
    await node.release();
    rig.device.process();
  }
}

describe('the registers of an AHCI controller', () => {
  it('have the values that the guest reads at their places', () => {
    const { rig } = queued();
    const rows = [...fieldsOf(rig, 'ahci'), ...fieldsOf(rig, 'ahci-port')].filter(({ bytes }) => bytes === 4);
    expect(rows.map(({ name }) => name).join(' ')).toBe(
      'CAP GHC IS PI VS PxCLB PxCLBU PxFB PxFBU PxIS PxIE PxCMD PxTFD PxSIG PxSSTS PxSCTL PxSERR PxSACT PxCI',
    );
    for (const { name, value, place } of rows) {
      if (place?.space !== 'bar') throw new Error(`${name} is not in the BAR`);
      expect(place.address, name).toBe(REGISTERS + place.offset);
      expect(value, name).toBe(rig.read(place.offset));
    }
    expect(named(rows, 'PxCLB').value).toBe(AT.list);
    expect(named(rows, 'PxSACT')).toMatchObject({ value: 1, text: '0', source: 'AHCI 1.3.1, 3.3.13' });
    expect(named(rows, 'GHC').place).toMatchObject({ offset: HBA.ghc });
    expect(named(rows, 'PxTFD').place).toMatchObject({ offset: PORTS_AT + PORT.tfd });
  });

  it('are unfolded to their bits', () => {
    const rig = new AhciRig(arrayNode(DISK_BYTES));
    expect(named(fieldsOf(rig, 'ahci-port'), '0 ST').tone).toBe('off');
    rig.start();
    const port = fieldsOf(rig, 'ahci-port');
    for (const name of ['0 ST', '4 FRE', '14 FR', '15 CR']) expect(named(port, name).tone, name).toBe('on');
    expect(named(port, '3:0 DET').value).toBe(3);
    expect(named(port, 'PxSIG').text).toBe('ATA');
    const hba = fieldsOf(rig, 'ahci');
    expect(named(hba, '12:8 NCS').value).toBe(31);
    expect(named(hba, '4:0 NP').value).toBe(5);
    expect(named(hba, 'PI').text).toBe('0–5');
    // A command that does not exist fails.
    rig.command([0x05, 0, 0, 0, 0, 0x40], []);
    const failed = fieldsOf(rig, 'ahci-port');
    for (const name of ['30 TFES', '0 ERR', '10 ABRT']) expect(named(failed, name).tone, name).toBe('bad');
  });

  it('reading them for the screen leaves no event behind', () => {
    const { rig } = queued();
    const { trace } = rig.device.ports[0].channel;
    const before = trace.total;
    for (const id of ['ahci', 'ahci-port', 'ahci-commands', 'ahci-received']) fieldsOf(rig, id);
    expect(trace.total).toBe(before);
  });
});

describe('the command list', () => {
  it('shows a queued command in words until its tag is done', async () => {
    const { rig, node } = queued();
    const rows = fieldsOf(rig, 'ahci-commands');
    expect(named(rows, 'slots in use').value).toBe(1);
    expect(named(rows, 'slot 0')).toMatchObject({
      text: 'READ FPDMA QUEUED',
      place: { space: 'memory', address: AT.list },
    });
    expect(named(rows, 'PRDTL').value).toBe(2);
    expect(named(rows, '4:0 CFL').value).toBe(5);
    expect(named(rows, 'LBA').value).toBe(5);
    expect(named(rows, 'Count').value).toBe(8);
    expect(named(rows, 'TAG').value).toBe(0);
    expect(named(rows, 'PRD 1')).toMatchObject({ value: AT.data + 8192, text: '3072 B' });
    await answered(rig, node);
    expect(named(fieldsOf(rig, 'ahci-commands'), 'slots in use').value).toBe(0);
    const received = fieldsOf(rig, 'ahci-received');
    expect(named(received, 'SDBFIS')).toMatchObject({ value: 0xa1, tone: 'plain' });
    expect(named(received, 'SActive').value).toBe(1);
  });

  it('says when a table lies outside memory', () => {
    const { rig } = queued();
    rig.memory.writeUint(AT.list + HEADER.table, 4, 0xffff_ff80);
    const rows = fieldsOf(rig, 'ahci-commands');
    expect(named(rows, 'CTBA')).toMatchObject({ text: 'outside', tone: 'bad' });
    expect(rows.some(({ name }) => name === 'CFIS' || name.startsWith('PRD '))).toBe(false);
  });

  it('is off while the port is stopped', () => {
    const { rig } = queued();
    rig.setPort(PORT.cmd, PXCMD.fisReceive);
    expect(named(fieldsOf(rig, 'ahci-commands'), 'command list').tone).toBe('off');
    rig.setPort(PORT.cmd, 0);
    expect(fieldsOf(rig, 'ahci-received')).toHaveLength(1);
  });
});

it('received FISes are what lies in memory: PIO Setup and Register of an IDENTIFY', () => {
  const rig = new AhciRig(arrayNode(DISK_BYTES));
  rig.start();
  rig.command([CMD.identify, 0, 0, 0, 0, 0x40], [[AT.data, 512]]);
  const rows = fieldsOf(rig, 'ahci-received');
  expect(named(rows, 'Transfer Count').value).toBe(512);
  expect(named(rows, 'PSFIS').value).toBe(0x5f);
  expect(named(rows, 'RFIS')).toMatchObject({
    value: 0x34,
    place: { space: 'memory', address: AT.received + RECEIVED.register },
  });
  expect(named(rows, 'SDBFIS')).toMatchObject({ value: 0, tone: 'off' });
  for (const { name, value, bytes, place } of rows.slice(1)) {
    if (place?.space !== 'memory' || bytes === 0 || bytes === 8) continue;
    const found = new Uint8Array(4);
    rig.memory.read(place.address, found.subarray(0, bytes));
    expect(value, name).toBe(new DataView(found.buffer).getUint32(0, true));
  }
});

it('every row has its explanation in both languages', async () => {
  const { rig, node } = queued();
  const rows = fieldsOf(rig, 'ahci-commands');
  await answered(rig, node);
  rig.command([CMD.identify, 0, 0, 0, 0, 0x40], [[AT.data, 512]]);
  const sections = ahciSections({ device: rig.device, port: rig.device.ports[0] });
  rows.push(...sections.flatMap((section) => section.fields()));
  for (const locale of ['en', 'zh-CN']) {
    const texts = JSON.parse(readFileSync(`resources/messages/${locale}/lab-details.json`, 'utf8')) as object;
    const missing = [
      ...sections.map(({ key }) => `section.${key}`),
      ...rows.map(({ meaning }) => meaning),
    ].filter((key) => !(key in texts));
    expect([...new Set(missing)], locale).toEqual([]);
  }
});

it.each([
  [0, ''],
  [1, '0'],
  [0x8000_0000, '31'],
  [0xffff_ffff, '0–31'],
  [0b1011, '0–1, 3'],
])('the bits of %i are %s', (value, text) => {
  expect(bitNumbers(value)).toBe(text);
});
