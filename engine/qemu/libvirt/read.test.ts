import { readFileSync } from 'node:fs';
import { afterAll, describe, expect, it } from 'vitest';
import { compareLines } from '../compare.ts';
import { lint } from '../lint.ts';
import { parseCommandLine } from '../parse.ts';
import { askQemu, makeFiles, workFolder } from '../testing/paused-qemu.ts';
import { fromLibvirt } from './read.ts';
import { toLibvirt } from './write.ts';
import { readXml } from './xml.ts';

const { folder, remove } = workFolder();
afterAll(remove);
const texts = JSON.parse(readFileSync('resources/messages/en/convert.json', 'utf8')) as object;

const DOMAIN = `<domain type='kvm'>
  <iothreads>2</iothreads>
  <os><type arch='x86_64' machine='pc'>hvm</type></os>
  <devices>
    <emulator>/usr/bin/qemu-system-x86_64</emulator>
    <disk type='file' device='disk'>
      <driver name='qemu' type='qcow2' cache='none' io='native' discard='unmap' iothread='1' queues='2' error_policy='stop'/>
      <source file='a.qcow2'/><target dev='vda' bus='virtio'/><boot order='1'/><serial>A&amp;B</serial>
      <iotune><total_iops_sec>100</total_iops_sec><read_bytes_sec>0</read_bytes_sec></iotune>
      <address type='pci' domain='0x0000' bus='0x00' slot='0x06' function='0x0'/>
    </disk>
    <disk type='file' device='disk'>
      <driver name='qemu' type='qcow2' cache='writethrough'/>
      <source file='overlay.qcow2'/><target dev='sdb' bus='scsi'/>
      <backingStore type='file'><format type='qcow2'/><source file='base.qcow2'/><backingStore/></backingStore>
      <address type='drive' controller='0' bus='0' target='0' unit='1'/>
    </disk>
    <disk type='file' device='disk'>
      <driver name='qemu' type='raw'/><source file='c.img'/><target dev='sdc' bus='scsi'/><shareable/>
    </disk>
    <disk type='file' device='cdrom'>
      <source file='cd.iso'/><target dev='hdc' bus='ide'/><readonly/>
    </disk>
    <disk type='file' device='cdrom'><target dev='sda' bus='sata'/></disk>
    <controller type='scsi' index='0' model='virtio-scsi'><driver queues='4' iothread='2'/></controller>
  </devices>
</domain>`;

describe('a domain', () => {
  it('becomes a line that lint finds clean and QEMU takes', async () => {
    makeFiles(folder, [
      { name: 'a.qcow2', format: 'qcow2' },
      { name: 'base.qcow2', format: 'qcow2' },
      { name: 'overlay.qcow2', format: 'qcow2', backing: 'base.qcow2' },
      { name: 'c.img', format: 'raw' },
      { name: 'cd.iso', format: 'raw' },
    ]);
    const { text, notes } = fromLibvirt(DOMAIN);
    expect(notes).toEqual([]);
    const errors = lint(parseCommandLine(text), { version: '7.2' }).filter((p) => p.severity === 'error');
    expect(errors).toEqual([]);
    expect(await askQemu(text.replace('/usr/bin/', ''), folder)).toBe('');
    expect(text).toContain('serial=A&B');
    expect(text).toContain('-object throttle-group,id=throttle-vda,x-iops-total=100');
    expect(text).toContain('backing=libvirt-2-format');
    expect(text).toContain('id=virtio-disk0,iothread=iothread1,num-queues=2,addr=0x6');
  });

  it('is written again and means the same', () => {
    const line = parseCommandLine(fromLibvirt(DOMAIN.replace(/<disk[^>]*><target dev='sda'.*/, '')).text);
    const { text, notes } = toLibvirt(line);
    expect(notes).toEqual([]);
    expect(compareLines(line, parseCommandLine(fromLibvirt(text).text))).toEqual([]);
    expect(text).toContain('<serial>A&amp;B</serial>');
  });

  it('a single disk is read as well', () => {
    const { text } = fromLibvirt(
      "<disk type='network'><source protocol='nbd' name='x'><host name='h'/></source><target dev='vda'/></disk>",
    );
    expect(text).toContain(
      'file.driver=nbd,file.server.type=inet,file.server.host=h,file.server.port=10809,file.export=x',
    );
  });

  it('names what it leaves out, in texts that exist', () => {
    const { notes } = fromLibvirt(
      "<domain><devices><disk device='disk'><source pool='p'/><target dev='xvda' bus='xen'/></disk>" +
        "<disk type='volume'><source pool='p'/><target dev='vda' bus='virtio'/></disk>" +
        "<controller type='scsi' model='buslogic'/></devices></domain>",
    );
    expect(notes.map((n) => n.key).toSorted()).toEqual([
      'convert.libvirt.bus',
      'convert.libvirt.controller',
      'convert.libvirt.source',
    ]);
    for (const note of notes) expect(texts).toHaveProperty([note.key]);
  });
});

describe('hostile XML', () => {
  it.each([
    ['doctype', '<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>', 0],
    ['entity', '<a>&b;</a>', 3],
    ['depth', '<a>'.repeat(100_000), 192],
    ['end', '<a><b/>', 0],
    ['mismatch', '<a></b>', 3],
    ['tag', '<a b=c/>', 0],
    ['tag', '<a/><b/>', 4],
    ['none', '', 0],
    ['size', ' '.repeat(5_000_000), 4_194_304],
  ])('%s is said at its place', (reason, text, at) => {
    expect(readXml(text)).toEqual({ fault: { reason, at } });
    expect(texts).toHaveProperty([`convert.xml.${reason}`]);
    expect(fromLibvirt(text).notes).toHaveLength(1);
  });

  it('takes no more than linear time over many attributes and blanks', () => {
    expect(readXml(`<a ${'b="c" '.repeat(100_000)}/>`)).toHaveProperty('root');
    expect(readXml(`<a ${' '.repeat(200_000)}!`)).toHaveProperty('fault');
  });
});
