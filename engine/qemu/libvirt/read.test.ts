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

/** Every kind of place that libvirt gives a disk. */
const PLACES = `<domain type='kvm'>
  <iothreads>2</iothreads><iothreadids><iothread id='4'/></iothreadids>
  <os><type arch='x86_64' machine='q35'>hvm</type></os>
  <devices>
    <controller type='pci' index='0' model='pcie-root'/>
    <controller type='pci' index='1' model='pcie-root-port'><model name='pcie-root-port'/><target chassis='1' port='0x10'/>
      <address type='pci' domain='0' bus='0x00' slot='0x02' function='0x0' multifunction='on'/></controller>
    <controller type='pci' index='2' model='pcie-to-pci-bridge'><address type='pci' bus='0x01' slot='0' function='0'/></controller>
    <controller type='pci' index='9' model='pcie-root-port'><address type='pci' bus='0' slot='9' function='0'/></controller>
    <controller type='usb' index='0' model='ich9-ehci1'><address type='pci' bus='0' slot='0x1d' function='0x7'/></controller>
    <controller type='usb' index='0' model='ich9-uhci1'><master startport='0'/><address type='pci' bus='0' slot='0x1d' function='0'/></controller>
    <controller type='sata' index='1'/>
    <controller type='scsi' index='0' model='virtio-scsi'><driver max_sectors='512' cmd_per_lun='8' iothread='4'/></controller>
    <disk type='file' device='disk' model='virtio-non-transitional'><driver name='qemu' type='raw' queue_size='64' detect_zeroes='unmap'/>
      <source file='v.img'/><target dev='vdc' bus='virtio'/>
      <address type='pci' domain='0' bus='0x02' slot='0x03' function='0'/></disk>
    <disk type='file' device='disk'><driver name='qemu' type='raw'/><source file='s.img'/><target dev='sda' bus='sata' rotation_rate='1'/>
      <address type='drive' controller='0' bus='0' target='0' unit='2'/></disk>
    <disk type='file' device='disk'><driver name='qemu' type='raw'/><source file='t.img'/><target dev='sdb' bus='sata'/>
      <geometry cyls='16' heads='4' secs='32'/><address type='drive' controller='1' bus='0' target='0' unit='1'/></disk>
    <disk type='file' device='disk'><driver name='qemu' type='raw'/><source file='u.img'/><target dev='sdc' bus='usb' removable='on'/>
      <address type='usb' bus='0' port='2'/></disk>
    <disk type='file' device='floppy'><driver name='qemu' type='raw'/><source file='f.img'/><target dev='fda' bus='fdc'/><boot order='1'/></disk>
    <disk type='file' device='disk'><driver name='qemu' type='raw'/><source file='h.img'/><target dev='sdd' bus='scsi'/>
      <vendor>PLATTER</vendor><product>DISK</product><wwn>5000c50015ea71aa</wwn>
      <blockio logical_block_size='4096' physical_block_size='4096'/><address type='drive' controller='0x0' bus='0' target='0x1' unit='3'/></disk>
  </devices>
</domain>`;

describe('places and properties', () => {
  it('are those of the XML, and QEMU takes them', async () => {
    makeFiles(
      folder,
      ['v', 's', 't', 'u', 'f', 'h'].map((name) => ({ name: `${name}.img`, format: 'raw' })),
    );
    const { text, notes } = fromLibvirt(PLACES);
    expect(notes).toEqual([]);
    expect(await askQemu(text, folder)).toBe('');
    expect(lint(parseCommandLine(text), { version: '7.2' }).filter((p) => p.severity === 'error')).toEqual(
      [],
    );
    expect(text).toContain('-device pcie-pci-bridge,id=pci.2,bus=pci.1,addr=0x0');
    expect(text).not.toContain('id=pci.9');
    expect(text).toContain(
      'virtio-blk-pci-non-transitional,id=virtio-disk2,queue-size=64,bus=pci.2,addr=0x3',
    );
    expect(text).toContain('-device ide-hd,id=sata0-0-2,bus=ide.2');
    expect(text).toContain('-device isa-fdc,id=fdc0,bootindexA=1');
    expect(text).toContain('detect-zeroes=on');
    expect(text.match(/usb0/g)).toHaveLength(2);
  });

  it('come back as they were', () => {
    const line = parseCommandLine(fromLibvirt(PLACES).text);
    const { text, notes } = toLibvirt(line);
    expect(notes).toEqual([]);
    expect(compareLines(line, parseCommandLine(fromLibvirt(text).text))).toEqual([]);
  });

  it.each([
    `<disk type='network' device='disk'><driver type='raw'/><source protocol='gluster' name='Vol/a/b.img'><host name='g1' port='24009'/><host transport='unix' socket='/s'/></source><target dev='vda' bus='virtio'/></disk>`,
    `<disk type='network' device='disk'><driver type='raw'/><source protocol='rbd' name='pool/im'><host name='m1' port='6789'/><snapshot name='s1'/><config file='/c'/></source><target dev='vda' bus='virtio'/></disk>`,
    `<disk type='network' device='disk'><driver type='raw'/><source protocol='iscsi' name='iqn.2000-01.x:y/3'><host name='h'/><initiator><iqn name='iqn.2000-01.a:b'/></initiator></source><target dev='vda' bus='virtio'/></disk>`,
    `<disk type='network' device='disk'><driver type='raw'/><source protocol='nfs' name='/a/b'><host name='h'/><nfs user='+7' group='+8'/></source><target dev='vda' bus='virtio'/></disk>`,
    `<disk type='network' device='cdrom'><driver type='raw'/><source protocol='https' name='a/b.iso' query='x=1'><host name='h' port='8443'/><ssl verify='no'/><readahead size='65536'/><timeout seconds='9'/></source><target dev='sda' bus='sata'/><readonly/></disk>`,
    `<disk type='network' device='disk'><driver type='raw'/><source protocol='ssh' name='/a'><host name='h' port='22'/></source><target dev='vda' bus='virtio'/></disk>`,
    `<disk type='network' device='disk'><driver type='raw'/><source protocol='nbd'><host transport='unix' socket='/s'/><reconnect delay='10'/></source><target dev='vda' bus='virtio'/></disk>`,
    `<disk type='nvme' device='disk'><driver type='raw'/><source type='pci' managed='yes' namespace='2'><address domain='0x0000' bus='0x01' slot='0x00' function='0x1'/></source><target dev='vda' bus='virtio'/></disk>`,
    `<disk type='vhostuser' device='disk'><driver name='qemu' type='raw'/><source type='unix' path='/s'><reconnect enabled='yes' timeout='3'/></source><target dev='vda' bus='virtio'/></disk>`,
    `<disk type='dir' device='floppy'><driver type='fat'/><source dir='/d'/><target dev='fda' bus='fdc'/><readonly/></disk>`,
    `<disk type='block' device='lun'><driver type='raw'/><source dev='/dev/sda'/><target dev='sda' bus='scsi'/></disk>`,
  ])('goes both ways: %s', (disk) => {
    const { text, notes } = fromLibvirt(disk);
    expect(notes).toEqual([]);
    const line = parseCommandLine(text);
    const wrong = lint(line, { version: '7.2' }).filter((p) => p.severity === 'error');
    expect(wrong).toEqual([]);
    const back = toLibvirt(line);
    expect(back.notes).toEqual([]);
    const again = parseCommandLine(fromLibvirt(back.text).text);
    const same = compareLines(line, again).filter(
      (d) => d.what !== 'machine #1' && d.what !== 'nodefaults #1',
    );
    expect(same).toEqual([]);
  });
});
