/** Every conversion is taken by a real QEMU, and comes back as the same line. */
import { afterAll, describe, expect, it } from 'vitest';
import { compareLines } from '../compare.ts';
import { lint } from '../lint.ts';
import { parseCommandLine } from '../parse.ts';
import { RECIPES } from '../recipes.ts';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { askQemu, makeFiles, workFolder } from '../testing/paused-qemu.ts';
import { toBlockdev } from './blockdev.ts';
import { fromConfig, toConfig } from './config.ts';
import { toDrive } from './drive.ts';
import { fromQmp, toJson, toQmp } from './json.ts';

const { folder, remove } = workFolder();
afterAll(remove);
const context = { version: '7.2' };
const parse = parseCommandLine;

makeFiles(folder, [
  { name: 'a.qcow2', format: 'qcow2' },
  { name: 'b.qcow2', format: 'qcow2' },
  { name: 'c.img', format: 'raw' },
]);

const DRIVES =
  '-drive file=a.qcow2,if=none,id=d0,format=qcow2,iops=100,bps_rd_max=2000000,bps_rd=1000000 -device virtio-blk-pci,drive=d0 ' +
  '-drive file=b.qcow2,if=none,id=d1,format=qcow2,throttling.iops-total=50,throttling.group=g -device virtio-blk-pci,drive=d1 ' +
  `-drive 'file=json:{"driver":"raw",,"file":{"driver":"file",,"filename":"c.img"}},if=none,id=d2,group=g,iops=70' -device nvme,drive=d2,serial=1`;

describe('-drive as -blockdev', () => {
  it('carries limits and json: names', async () => {
    const { text, notes } = toBlockdev(parse(DRIVES));
    expect(notes).toEqual([]);
    expect(text).toContain(
      '-object throttle-group,id=d0-limits,x-iops-total=100,x-bps-read-max=2000000,x-bps-read=1000000',
    );
    expect(text).toContain('-object throttle-group,id=g,x-iops-total=70');
    expect(text.match(/throttle-group,id=g/g)).toHaveLength(1);
    expect(text).toContain('-device nvme,drive=d2-throttle');
    expect(await askQemu(DRIVES, folder)).toBe('');
    expect(await askQemu(text, folder)).toBe('');
  });

  it.each([
    [
      'ssh://me@host:2222/a%20b.img?host_key_check=no',
      'file.driver=ssh,file.server.host=host,file.server.port=2222,file.path=/a b.img,file.user=me,file.host-key-check.mode=none',
    ],
    [
      'iscsi://10.0.0.1:3260/iqn.2001-04.com.example/3',
      'file.transport=tcp,file.portal=10.0.0.1:3260,file.target=iqn.2001-04.com.example,file.lun=3',
    ],
    [
      'rbd:pool/image@snap:id=admin:conf=/etc/ceph.conf',
      'file.pool=pool,file.image=image,file.snapshot=snap,file.user=admin,file.conf=/etc/ceph.conf',
    ],
    [
      'gluster://host/vol/dir/a.img',
      'file.volume=vol,file.path=dir/a.img,file.server.0.type=inet,file.server.0.host=host,file.server.0.port=24007',
    ],
    [
      'nbd+unix:///disk?socket=/run/nbd.sock',
      'file.server.type=unix,file.server.path=/run/nbd.sock,file.export=disk',
    ],
    ['nbd://[::1]:10810/disk', 'file.server.host=::1,file.server.port=10810,file.export=disk'],
    ['nfs://host/export/a.img', 'file.server.type=inet,file.server.host=host,file.path=/export/a.img'],
  ])('writes %s in options that the schema knows', (name, options) => {
    const { text, notes } = toBlockdev(parse(`-drive 'file=${name},if=virtio,format=raw'`));
    expect(notes).toEqual([]);
    expect(text).toContain(options);
    expect(lint(parse(text), context).filter((p) => p.severity === 'error')).toEqual([]);
  });

  it('leaves addresses with passwords to the reader', () => {
    const { notes } = toBlockdev(parse('-drive file=iscsi://u%25p@host/iqn.x/1,if=virtio,format=raw'));
    expect(notes).toMatchObject([{ key: 'convert.changed.protocol' }]);
  });
});

/** Between them they have every kind of node, object and device; each asks QEMU four times. */
const KINDS = ['many-disks', 'throttled', 'mirror', 'luks', 'overlay', 'nvme'];
const TAKEN = RECIPES.filter((r) => KINDS.includes(r.id));

describe.each(TAKEN)('$id', ({ line, files }) => {
  it('as -drive, JSON, a configuration file and QMP', async () => {
    makeFiles(folder, files);
    const start = parse(line);
    const json = toJson(start, context).text;
    expect(compareLines(start, parse(json))).toEqual([]);
    const drive = toDrive(start);
    const config = toConfig(parse(drive.text));
    writeFileSync(join(folder, 'machine.conf'), config.text);
    const back = parse(
      `${config.line.replace('-readconfig machine.conf', '')} ${fromConfig(config.text).text}`,
    );
    expect(compareLines(parse(drive.text), back)).toEqual([]);
    for (const text of [json, drive.text, config.line]) expect(await askQemu(text, folder)).toBe('');
    const qmp = toQmp(start, context);
    const blocks = fromQmp(qmp.text);
    expect(blocks.notes).toEqual([]);
    expect(parse(blocks.text).options.length).toBe(
      start.options.filter((o) => ['object', 'blockdev', 'device'].includes(o.name)).length,
    );
    // Block nodes and objects can be added to a running QEMU; devices only where the bus allows it.
    const commands = qmp.text
      .split('\n')
      .filter((row) => /^\{"execute":"(?:blockdev|object)-add"/.test(row))
      .map((row): object => JSON.parse(row));
    expect(await askQemu('-machine q35', folder, commands)).toBe('');
  });
});

describe('-blockdev as -drive', () => {
  it('comes back as it was', () => {
    const line = parse(
      '-blockdev driver=qcow2,node-name=d,file.driver=file,file.filename=a.qcow2,cache.direct=on,discard=unmap -device virtio-blk-pci,drive=d',
    );
    expect(compareLines(line, parse(toBlockdev(parse(toDrive(line).text)).text))).toEqual([]);
  });
  it('writes named nodes in, and out what they would inherit', async () => {
    const { text } = toDrive(
      parse(
        '-blockdev file,node-name=f,filename=a.qcow2 -blockdev qcow2,node-name=d,file=f,cache.direct=on -device virtio-blk-pci,drive=d',
      ),
    );
    expect(text).toBe(
      '-drive if=none,id=d,format=qcow2,file.driver=file,file.node-name=f,file.filename=a.qcow2,file.cache.direct=off,cache.direct=on -device virtio-blk-pci,drive=d',
    );
    expect(await askQemu(text, folder)).toBe('');
  });
  it('leaves a node that two use', () => {
    const { notes } = toDrive(
      parse(
        '-blockdev raw,node-name=d,file.driver=null-co,read-only=on -device virtio-blk-pci,drive=d -device virtio-blk-pci,drive=d',
      ),
    );
    expect(notes).toMatchObject([{ key: 'convert.kept.node-shared' }]);
  });
});

describe('what cannot be read', () => {
  it('is said at its place', () => {
    expect(fromQmp('{"execute":"quit"}\nnonsense').notes.map((n) => [n.key, n.span.start])).toEqual([
      ['convert.read.no-option', 0],
      ['convert.read.no-json', 19],
    ]);
    expect(fromConfig('x = "1"\n[blockdev "a"]\n').notes).toHaveLength(2);
  });
});
