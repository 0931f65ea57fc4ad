/** Trials with the QEMU that is installed: what it says, what it is given, and that nothing outside is touched. */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
  chmodSync,
  statSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { TryResult } from '#contract/try.ts';
import { openImage } from '#engine/block/graph.ts';
import { compareTrees } from '#engine/qemu/try/compare.ts';
import { parseCommandLine } from '#engine/qemu/parse.ts';
import type { Inspect } from './files.ts';
import { Schemas } from './schemas.ts';
import { tryLine, type TrialOptions } from './trial.ts';

const inspect: Inspect = async (path, allow) => {
  const { node, info } = await openImage(path, { gate: { allow }, backing: 'tolerate' });
  await node.close();
  return info;
};

let folder: string;
let schemas: Schemas;
const at = (name: string): string => join(folder, name);
const run = (line: string, more: Partial<TrialOptions> = {}): Promise<TryResult> =>
  tryLine({ line, bound: new Map(), inspect, schemas, ...more });
const qemuImg = (...args: string[]): void =>
  void execFileSync('qemu-img', args, { cwd: folder, stdio: 'pipe' });

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'platter-trial-test-'));
  schemas = new Schemas(at('schemas'));
  qemuImg('create', '-q', '-f', 'qcow2', 'a.qcow2', '64M');
  qemuImg('create', '-q', '-f', 'raw', 'a.raw', '64M');
  qemuImg('create', '-q', '-f', 'raw', 'flash.raw', '4M');
  qemuImg('create', '-q', '-f', 'qcow2', '-b', 'a.qcow2', '-F', 'qcow2', 'top.qcow2');
  qemuImg('create', '-q', '-f', 'qcow2', '-u', '-b', 'nbd://127.0.0.1:9/x', '-F', 'raw', 'far.qcow2', '64M');
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Every file of the test's folder with its digest and its time of change. */
function digests(): Record<string, string> {
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter(
    (name) => !name.startsWith('schemas') && statSync(at(name)).isFile(),
  );
  return Object.fromEntries(
    files.map((name) => [
      name,
      `${createHash('sha256')
        .update(readFileSync(at(name)))
        .digest('hex')} ${String(statSync(at(name)).mtimeMs)}`,
    ]),
  );
}

/** Folders of trials that are left behind. */
const leftovers = (): string[] => readdirSync(tmpdir()).filter((name) => name.startsWith('platter-try-'));

describe('what QEMU says', () => {
  const drive = (more = ''): string => `-drive file=${at('a.qcow2')},if=none,id=d0,format=qcow2${more}`;

  it('refuses the main job with two mistakes, and accepts it without them', async () => {
    const line = `-device virtio-blk-pci,bus=pci.0,addr=0x9,drive=drive-virtio-disk1,id=virtio-disk1
-drive file=/var/lib/libvirt/images/vm1.img,if=none,id=drive-virtio-disk2,format=qcow2`;
    const refused = await run(line);
    expect(refused.verdict).toBe('refused');
    expect(refused.messages).toMatchObject([
      {
        text: "Property 'virtio-blk-device.drive' can't find value 'drive-virtio-disk1'",
        level: 'error',
        rule: 'D01',
      },
    ]);
    expect(place(refused)).toContain('drive-virtio-disk1');
    expect(refused.changes.map((c) => c.reason)).toEqual(['file-missing']);

    const accepted = await run(line.replace('drive=drive-virtio-disk1', 'drive=drive-virtio-disk2'));
    expect(accepted).toMatchObject({ verdict: 'accepted', messages: [] });
    const compared = compareTrees(
      parseCommandLine(accepted.line),
      accepted.tree ?? { blocks: [], pci: [], virtio: [] },
    );
    expect(compared.differences).toBe(0);
    expect(compared.pci.find((r) => r.ours === '09.0 virtio-disk1')?.state).toBe('same');
    expect(compared.blocks.map((r) => r.theirs)).toContain('file /var/lib/libvirt/images/vm1.img');
  });

  it.each([
    ['D01', () => `${drive()} -device virtio-blk-pci,drive=xx`, "can't find value 'xx'", 'xx'],
    ['D03', () => `-drive file=${at('a.qcow2')},if=ide,id=d0,format=qcow2 -device ide-hd,drive=d0`, '', 'd0'],
    [
      'D08',
      () => `-drive file=${at('a.qcow2')},if=scsi,format=qcow2`,
      'machine type does not support',
      'if=scsi',
    ],
    ['D13', () => `-drive file=${at('a.raw')},if=none,id=x,format=qcow2`, 'not in qcow2 format', ''],
    [
      'O02',
      () => `${drive()} -device virtio-blk-pci,drive=d0,foo=1`,
      "Property 'virtio-blk-pci.foo' not found",
      'foo',
    ],
    [
      'B01',
      () => `${drive()} -device virtio-blk-pci,drive=d0,bus=nope.0`,
      "Bus 'nope.0' not found",
      'nope.0',
    ],
    [
      'C01',
      () => `${drive(',aio=native,cache=writeback')} -device virtio-blk-pci,drive=d0`,
      'aio=native',
      '',
    ],
    ['D06', () => `${drive()} ${drive()}`, "Duplicate ID 'd0'", 'id=d0'],
    ['X03', () => `${drive()} -devcie ide-hd`, 'invalid option', '-devcie'],
  ])('%s', async (_rule, line, words, where) => {
    const result = await run(`qemu-system-x86_64 -nodefaults ${line()}`);
    expect(result.verdict).toBe('refused');
    expect(result.messages[0].text).toContain(words);
    expect(place(result)).toContain(where);
  });

  it('names the nodes and files of the line, not those of the trial', async () => {
    const line = `-nodefaults -blockdev driver=qcow2,node-name=q0,file.driver=file,file.filename=${at('a.qcow2')} -device ide-hd,drive=q0 -device virtio-blk-pci,drive=q0`;
    const result = await run(line);
    expect(result.verdict).toBe('refused');
    expect(result.messages[0].text).not.toContain('platter-');
    expect(place(result)).toContain('q0');
  });

  it('lets QEMU lock a file that the line opens twice', async () => {
    const result = await run(
      `-nodefaults ${drive()} -device virtio-blk-pci,drive=d0 -drive file=${at('a.qcow2')},if=none,id=d1,format=qcow2 -device virtio-blk-pci,drive=d1`,
    );
    expect(result.verdict).toBe('refused');
    expect(result.messages[0].text).toContain('Failed to get "write" lock');
    expect(result.changes.map((c) => c.reason)).toContain('file-twice');
  });

  it('shows the backing chain that the image names', async () => {
    const result = await run(
      `-nodefaults -drive file=${at('top.qcow2')},if=none,id=d0,format=qcow2 -device virtio-blk-pci,drive=d0`,
    );
    expect(result.verdict).toBe('accepted');
    const tree = result.tree ?? { blocks: [], pci: [], virtio: [] };
    expect(compareTrees(parseCommandLine(result.line), tree).blocks.map((r) => r.theirs)).toEqual([
      'd0',
      'qcow2',
      `file ${at('top.qcow2')}`,
      'qcow2',
      `file ${at('a.qcow2')}`,
    ]);
  });

  it('takes the bound image', async () => {
    const result = await run(
      '-nodefaults -drive file=vm.img,if=none,id=d0,format=qcow2 -device nvme,drive=d0,serial=1',
      {
        bound: new Map([['d0', at('a.qcow2')]]),
      },
    );
    expect(result.verdict).toBe('accepted');
    expect(result.argv.join(' ')).toContain(`file=${at('a.qcow2')}`);
    expect(result.argv.join(' ')).toContain('snapshot=on');
  });

  it('opens no image that names a server', async () => {
    const result = await run(
      `-nodefaults -drive file=${at('far.qcow2')},if=none,id=d0,format=qcow2 -device nvme,drive=d0,serial=1`,
    );
    expect(result.verdict).toBe('accepted');
    expect(result.argv.join(' ')).not.toContain('far.qcow2,');
    expect(result.changes.map((c) => c.reason)).toEqual(['image-references']);
  });
});

/** The text at the first message's place. */
function place({ line, messages }: TryResult): string {
  const span = messages[0]?.span;
  return span === undefined ? '' : line.slice(span.start, span.end);
}

describe('what stays as it was', () => {
  it.each([
    ['-drive', () => `-drive file=${at('a.qcow2')},format=qcow2`],
    ['snapshot=off', () => `-drive file=${at('a.qcow2')},format=qcow2,snapshot=off,cache=unsafe`],
    ['a read-only drive', () => `-drive file=${at('a.qcow2')},if=virtio,format=qcow2,readonly=on`],
    [
      'a protocol that is opened for writing',
      () => `-drive file.driver=file,file.filename=${at('a.raw')},file.read-only=off,format=raw`,
    ],
    ['-hda', () => `-hda ${at('a.qcow2')} -cdrom ${at('a.raw')}`],
    ['no option at all', () => at('a.qcow2')],
    ['-pflash', () => `-machine q35 -drive if=pflash,file=${at('flash.raw')},format=raw`],
    [
      '-blockdev',
      () =>
        `-blockdev driver=file,filename=${at('a.qcow2')},node-name=f -blockdev driver=qcow2,file=f,node-name=q -device ide-hd,drive=q`,
    ],
    [
      'JSON',
      () =>
        `-blockdev '{"driver":"raw","node-name":"r","read-only":false,"file":{"driver":"file","filename":"${at('a.raw')}"}}' -device virtio-blk-pci,drive=r`,
    ],
    ['a chain', () => `-hda ${at('top.qcow2')}`],
    [
      '-set',
      () =>
        `-drive file=${at('a.qcow2')},id=d,if=none,format=qcow2 -device ide-hd,drive=d -set drive.d.snapshot=off`,
    ],
    [
      'a filter that writes a log',
      () =>
        `-drive driver=blklogwrites,file.driver=file,file.filename=${at('a.raw')},log.driver=file,log.filename=${at('written.log')},if=none`,
    ],
    [
      'copy-on-read',
      () =>
        `-blockdev driver=copy-on-read,node-name=c,file.driver=qcow2,file.file.driver=file,file.file.filename=${at('a.qcow2')} -device ide-hd,drive=c`,
    ],
  ])('%s', async (_name, line) => {
    const before = digests();
    const result = await run(line());
    expect(digests()).toEqual(before);
    expect(result.verdict, JSON.stringify(result.messages)).toBe('accepted');
  });

  it.each([
    ['-daemonize'],
    ['-pidfile {dir}/pid'],
    ['-D {dir}/log -d int'],
    ['-serial file:{dir}/serial'],
    ['-serial mon:telnet:127.0.0.1:{port},server=on,wait=off'],
    ['-parallel file:{dir}/parallel'],
    ['-debugcon file:{dir}/debug'],
    ['-monitor tcp:127.0.0.1:{port},server=on,wait=off'],
    ['-qmp unix:{dir}/qmp,server=on,wait=off'],
    ['-gdb tcp::{port}'],
    ['-s'],
    ['-vnc 127.0.0.1:5'],
    [
      '-chardev socket,id=c,path={dir}/sock,server=on,wait=off -device virtio-serial -device virtserialport,chardev=c',
    ],
    ['-chardev file,id=c,path={dir}/char -serial chardev:c'],
    [`-chardev '{"backend":"file","id":"c","path":"{dir}/char"}'`],
    [`-chardev '{"id":"c,path={dir}/list,backend=file","k,path={dir}/list":"x"}'`],
    [`-netdev '{"type":"tap","id":"n","script":"{script}"}'`],
    ['-set chardev.compat_monitor0.logfile={dir}/qmp.log'],
    ['-chardev null,id=c -set chardev.c.backend=file -set chardev.c.path={dir}/set'],
    ['-incoming "exec:touch {dir}/incoming"'],
    ['-incoming tcp:127.0.0.1:{port}'],
    ['-netdev tap,id=n,script={script},downscript={script} -device e1000,netdev=n'],
    ['-nic tap,script={script}'],
    ['-net nic -net tap,script={script}'],
    ['-netdev bridge,id=n,helper={script}'],
    ['-netdev user,id=n,hostfwd=tcp:127.0.0.1:{port}-:22,guestfwd=tcp:10.0.2.1:1-cmd:{script}'],
    ['-netdev socket,id=n,listen=127.0.0.1:{port}'],
    ['-device e1000,romfile={dir}/rom'],
    ['-global e1000.romfile={dir}/rom'],
    ['-device usb-ehci -device usb-tablet,pcap={dir}/pcap'],
    ['-object filter-dump,id=f,netdev=n,file={dir}/dump -netdev user,id=n'],
    ['-object memory-backend-file,id=m,size=128M,share=on,mem-path={dir}/memory'],
    ['-object qtest,id=q,chardev=c -chardev socket,id=c,path={dir}/qt,server=on,wait=off'],
    ['-qtest unix:{dir}/qtest,server=on,wait=off'],
    ['-qtest-log {dir}/qtest.log'],
    ['-writeconfig {dir}/config'],
    ['-dump-vmstate {dir}/vmstate'],
    ['-machine dumpdtb={dir}/dtb'],
    ['-icount 1,rr=record,rrfile={dir}/rr'],
    ['-trace file={dir}/trace'],
    ['-readconfig {config}'],
    ['-virtfs local,path={dir},mount_tag=t,security_model=none'],
    ['-fsdev local,id=f,path={dir},security_model=none -device virtio-9p-pci,fsdev=f,mount_tag=t'],
    ['-audiodev wav,id=a,path={dir}/wav'],
    ['-drive file=fat:rw:{dir},format=raw'],
    ['-drive driver=vvfat,rw=on,dir={dir},if=virtio'],
    ['-sandbox off'],
    ['-mem-path {dir}/mem'],
    ['-plugin {script}'],
    ['-spice unix=on,addr={dir}/spice,disable-ticketing=on'],
    ['-tpmdev emulator,id=t,chardev=c -chardev socket,id=c,path={dir}/tpm -device tpm-tis,tpmdev=t'],
    ['$(touch {dir}/shell)'],
    ['`touch {dir}/shell`; touch {dir}/shell && touch {dir}/shell'],
  ])('is not touched by %s', async (option) => {
    const dir = at('target');
    mkdirSync(dir, { recursive: true });
    const script = at('script.sh');
    writeFileSync(script, `#!/bin/sh\ntouch ${dir}/executed\n`);
    chmodSync(script, 0o755);
    const config = at('config');
    writeFileSync(config, `[chardev "x"]\n  backend = "file"\n  path = "${dir}/config"\n`);
    const port = await freePort();
    const before = digests();
    const line = option
      .replaceAll('{dir}', dir)
      .replaceAll('{script}', script)
      .replaceAll('{config}', config)
      .replaceAll('{port}', String(port));
    let listening = false;
    const result = await run(`qemu-system-x86_64 ${line}`, {
      stage: (stage) => {
        if (stage === 'asking') listening = listens([port, 1234, 5905]);
      },
    });
    expect(digests()).toEqual(before);
    expect(readdirSync(dir)).toEqual([]);
    expect(listening).toBe(false);
    // An id may hold anything; it stays one.
    if (!option.includes('list'))
      expect(result.argv.filter((word) => word.includes(dir) || word.includes(script))).toEqual([]);
    // QEMU has no JSON there and no such option any more: it says so, and nothing of theirs was touched.
    const unknown = /^-chardev '\{"backend|^-writeconfig/.test(option);
    if (!/touch \{dir\}\/shell|list/.test(option))
      expect(result.verdict, JSON.stringify(result.messages)).toBe(unknown ? 'refused' : 'accepted');
  });

  it('starts no program that the line names', async () => {
    const script = at('qemu-system-x86_64');
    writeFileSync(script, `#!/bin/sh\ntouch ${at('executed')}\n`);
    chmodSync(script, 0o755);
    const before = digests();
    for (const line of [
      `${script} -nodefaults`,
      `sudo ${script} -nodefaults`,
      `${at('script.sh')} -nodefaults`,
    ])
      expect((await run(line)).qemu.path).not.toContain(folder);
    expect(digests()).toEqual(before);
  });

  it('is not touched by characters that end a C string', async () => {
    const result = await run('-device e1000,ro\0mfile=/x -hda a\0b c\0d -n\0o x');
    expect(result.changes.map((c) => c.reason)).toContain('control');
    expect(result.argv.join(' ')).not.toContain('\0');
  });

  it('leaves no file and no process behind', async () => {
    await run(`-hda ${at('a.qcow2')}`);
    expect(leftovers()).toEqual([]);
  });
});

/** Whether a socket listens on one of these TCP ports (/proc/net/tcp: state 0A). */
function listens(ports: number[]): boolean {
  const hex = ports.map((port) => `:${port.toString(16).toUpperCase().padStart(4, '0')}`);
  return readFileSync('/proc/net/tcp', 'utf8')
    .split('\n')
    .map((row) => row.trim().split(/\s+/))
    .some((fields) => fields[3] === '0A' && hex.some((port) => fields[1].endsWith(port)));
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.on('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0));
    });
  });
}

describe('ends', () => {
  it('says so when QEMU is not installed', async () => {
    await expect(run('qemu-system-nonesuch -hda x')).rejects.toMatchObject({
      code: 'try.no-qemu',
      context: { value: 'qemu-system-nonesuch' },
    });
    await expect(run('qemu-system-x86_64;rm -hda x', { path: '' })).resolves.toBeDefined();
  });

  it('ends a QEMU that takes too long', async () => {
    const result = await run('-nodefaults', { limits: { time: 1, memory: 2 ** 30 } });
    expect(result.verdict).toBe('timeout');
    expect(leftovers()).toEqual([]);
  });

  it('ends one that holds too much', async () => {
    const result = await run('-nodefaults', {
      limits: { time: 20_000, memory: 1 },
      stage: () => undefined,
    });
    expect(['memory', 'accepted']).toContain(result.verdict);
  });

  it('is cancelled', async () => {
    const abort = new AbortController();
    const result = await run('-nodefaults', {
      signal: abort.signal,
      stage: (stage) => {
        if (stage === 'starting') queueMicrotask(() => abort.abort());
      },
    });
    expect(result.verdict).toBe('cancelled');
    expect(leftovers()).toEqual([]);
  });

  it('tells a line that only prints', async () => {
    expect((await run('-device help')).verdict).toBe('ended');
  });
});
