/** Which disks of a line can be run and where they lie: QEMU's own answers (`info qtree`, and what it refuses) are the expectation. */
import { describe, expect, it } from 'vitest';
import { parseCommandLine } from '../qemu/parse.ts';
import { chosenDevices, lineDisks } from './disks.ts';

const BACK = [0, 1, 2, 3].map((i) => `-drive file=${i}.img,if=none,id=d${i},format=raw`).join(' ');
const disks = (line: string) => lineDisks(parseCommandLine(line));
const places = (line: string): string[] =>
  disks(line).map(({ drive, device, error }) => {
    const { scsi, ide } = device ?? {};
    if (error !== undefined) return `${drive}: ${error.message}`;
    return `${drive} ${scsi === undefined ? `${ide?.bus}.${ide?.unit}` : `${scsi.target}:${scsi.lun}`}`;
  });

describe('where QEMU 7.2 puts disks', () => {
  const S = `${BACK} -device virtio-scsi-pci,id=s0`;
  it.each([
    [
      `${S} -device scsi-hd,drive=d0 -device scsi-hd,drive=d1 -device scsi-hd,drive=d2,scsi-id=0,lun=1 -device scsi-hd,drive=d3,scsi-id=0`,
      ['d0 0:0', 'd1 1:0', 'd2 0:1', 'd3 0:2'],
    ],
    [`${S} -device scsi-hd,drive=d0,lun=3 -device scsi-hd,drive=d1,lun=3`, ['d0 0:3', 'd1 1:3']],
    [
      `${BACK} -device ide-hd,drive=d0,bus=ide.0,unit=1 -device ide-hd,drive=d1,bus=ide.0 -device ide-hd,drive=d2,bus=ide.1`,
      ['d0 0.1', 'd1 0.0', 'd2 1.0'],
    ],
    [
      `${BACK} -hda a.img -device ide-hd,drive=d0,bus=ide.0 -hdd b.img`,
      ['d0 0.1', 'ide0-hd0 0.0', 'ide1-hd1 1.1'],
    ],
    [`${BACK} -device ide-hd,drive=d0 -device ide-hd,drive=d1`, ['d0 1.0', 'd1 1.1']],
    [`-M q35 ${BACK} -device ide-hd,drive=d0`, ['d0 5.0']],
    [
      `-M q35 ${BACK} -device ide-hd,drive=d0,bus=ide.2 -device ide-hd,drive=d1,bus=ide.5`,
      ['d0 2.0', 'd1 5.0'],
    ],
    // index= is a place: 2 is the master of the second channel, on a q35 the third port.
    [
      '-drive file=a,index=2 -drive file=b -drive file=c,if=ide,bus=1,unit=1 -drive file=d,media=cdrom',
      ['ide1-hd0 1.0', 'ide0-hd0 0.0', 'ide1-hd1 1.1', 'ide0-cd1 0.1'],
    ],
    ['-M q35 -drive file=a,index=2 -hda b', ['ide2-hd0 2.0', 'ide0-hd0 0.0']],
  ])('%s', (line, expected) => {
    expect(places(line)).toEqual(expected);
  });

  it.each([
    // VGA and a network card have slots before the first -device, unless there is -nodefaults.
    [
      `${BACK} -device virtio-blk-pci,drive=d0 -device virtio-blk-pci,drive=d1 -drive file=a,if=virtio`,
      [4, 5, 6],
    ],
    [`-M q35 -nodefaults ${BACK} -device virtio-blk-pci,drive=d0`, [1]],
    [`-M q35 -nodefaults ${BACK} -device nvme,serial=1,drive=d1 -device virtio-blk-pci,drive=d0`, [1, 2]],
    [`-M q35 ${BACK} -device piix4-ide,id=p -device ide-hd,bus=p.1,drive=d0`, [3]],
    [`${BACK} -device pci-bridge,id=b,chassis_nr=1 -device virtio-blk-pci,bus=b,drive=d0`, [0]],
  ])('slots: %s', (line, expected) => {
    expect(disks(line).map(({ device }) => device?.controller?.slot ?? device?.slot)).toEqual(expected);
  });

  it('a disk without bus= goes to the controller that was made last', () => {
    const line = `${S} -device virtio-scsi-pci,id=s1 -device scsi-hd,drive=d0 -device scsi-hd,drive=d1,bus=s0.0`;
    expect(disks(line).map(({ device }) => device?.controller?.id)).toEqual(['s1', 's0']);
  });
});

describe('what QEMU 7.2 refuses', () => {
  it.each([
    [
      `${BACK} -device virtio-scsi-pci,id=s0 -device scsi-hd,drive=d0,id=a,scsi-id=3,lun=1 -device scsi-hd,drive=d1,scsi-id=3,lun=1`,
      'lab.place-taken',
      "lun already used by 'scsi-hd a'",
    ],
    [
      `${BACK} -device ide-hd,drive=d0,bus=ide.0,unit=0 -device ide-hd,drive=d1,bus=ide.0,unit=0`,
      'lab.place-taken',
      'IDE unit 0 is in use',
    ],
    [
      `${BACK} -device ide-hd,drive=d0,bus=ide.0 -device ide-hd,drive=d2,bus=ide.0 -device ide-hd,drive=d1,bus=ide.0`,
      'lab.place-taken',
      'IDE unit 1 is in use',
    ],
    [
      `-M q35 ${BACK} -device ide-hd,drive=d0,bus=ide.0 -device ide-hd,drive=d1,bus=ide.0`,
      'lab.no-place',
      "Can't create IDE unit 1, bus supports only 1 units",
    ],
    [
      `${BACK} -device ide-hd,drive=d0 -device ide-hd,drive=d1,unit=2`,
      'lab.no-place',
      "Can't create IDE unit 2, bus supports only 2 units",
    ],
    [
      `${BACK} -device ide-hd,drive=d0 -device ide-hd,drive=d1,bus=ide.5`,
      'lab.no-controller',
      "Bus 'ide.5' not found",
    ],
    [
      `${BACK} -device virtio-blk-pci,drive=d0 -device virtio-blk-pci,drive=d1,addr=4`,
      'machine.slot-taken',
      'PCI: slot 4 function 0 not available, in use by virtio-blk-pci',
    ],
    [
      `${BACK} -device virtio-blk-pci,drive=d0 -device virtio-blk-pci,drive=d1,addr=1`,
      'machine.slot-taken',
      'PCI: slot 1 function 0 not available',
    ],
    [
      `${BACK} -device virtio-blk-pci,drive=d0 -drive file=a,index=1,id=x -drive file=a,index=1,id=d1`,
      'lab.place-taken',
      'IDE unit 1 is in use',
    ],
    [
      `-M q35 ${BACK} -device ide-hd,drive=d0 -drive file=a,index=6,id=d1`,
      'lab.no-controller',
      "Bus 'ide.6' not found",
    ],
    [
      `${BACK} -device virtio-blk-pci,drive=d1 -device virtio-blk-pci,drive=d1,id=b`,
      'lab.drive-in-use',
      "Drive 'd1' is already in use by another device",
    ],
  ])('%s', (line, code, words) => {
    const last = disks(line).at(-1);
    expect(last?.error?.code).toBe(code);
    expect(last?.error?.message).toContain(words);
    // The others can be run all the same, and whoever wants that one hears why not.
    const parsed = parseCommandLine(line);
    expect(chosenDevices(parsed, undefined)).toHaveLength(1);
    if (code !== 'lab.drive-in-use') expect(() => chosenDevices(parsed, ['d1'])).toThrow(words);
  });
});

describe('what QEMU 7.2 takes, and no guest can reach', () => {
  it.each([
    [
      `${BACK} -device ide-hd,drive=d0,bus=ide.1 -device piix4-ide,id=p -device ide-hd,bus=p.0,drive=d1`,
      ['lab.ports-taken', undefined],
    ],
    [
      `-M q35 ${BACK} -device piix3-ide,id=p -device ide-hd,bus=p.1,drive=d0 -device piix4-ide,id=q -device ide-hd,bus=ide.1,drive=d1`,
      ['lab.ports-taken', undefined],
    ],
  ])('%s', (line, codes) => {
    expect(disks(line).map(({ error }) => error?.code)).toEqual(codes);
  });
});

describe('choosing', () => {
  const line = parseCommandLine(
    `${BACK} -device nvme,drive=d3,serial=1 -device virtio-blk-pci,drive=d0,id=d1 -device virtio-blk-pci,drive=d1,id=x -hda c.img`,
  );
  it('goes by drives, then by ids, and takes each once', () => {
    const names = (chosen: string[]) => chosenDevices(line, chosen).map(({ drive }) => drive);
    expect(names(['d1', 'd0'])).toEqual(['d1', 'd0']);
    expect(names(['x', 'd1', 'ide0-hd0'])).toEqual(['d1', 'ide0-hd0']);
    expect(() => names(['d9'])).toThrow(expect.objectContaining({ code: 'lab.unknown-device' }));
    expect(() => names(['d3'])).toThrow(expect.objectContaining({ code: 'lab.not-drivable' }));
  });
  it('gives each model of a vhost device a drive of its own', () => {
    const models = disks(`${BACK} -device vhost-scsi-pci,wwpn=naa.1 -device vhost-scsi-pci,wwpn=naa.2`);
    expect(models.map(({ drive }) => drive)).toEqual(['d0', 'd1']);
  });
});
