/** `--image-opts` and `json:{…}` in every command that has them, against qemu-img. */
import { execFileSync } from 'node:child_process';
import { copyFileSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { qemuImg, qemuIo, workFolder } from '../testing/qemu-img.ts';
import { platterIn, type Ran } from '../testing/run-command.ts';

const { folder, remove } = workFolder();
afterAll(remove);
const SECRET = ['--object', 'secret,id=s,data=abc'];

/** As `platter …`, run where the images are. */
const here = (...words: string[]): Promise<Ran> => platterIn(folder, words);

/** qemu-img's standard output and exit code. */
function qemu(...words: string[]): { code: number; out: string } {
  try {
    return { code: 0, out: qemuImg(folder, ...words) };
  } catch (error) {
    const { status, stdout } = error as { status: number; stdout: string };
    return { code: status, out: stdout };
  }
}

beforeAll(() => {
  const create = (...words: string[]): string => qemuImg(folder, 'create', '-q', ...words);
  create('-f', 'qcow2', 'a.qcow2', '8M');
  qemuIo(folder, 'qcow2', 'a.qcow2', 'write -P 1 1M 64k');
  create('-f', 'qcow2', '-b', 'a.qcow2', '-F', 'qcow2', 'o.qcow2');
  qemuIo(folder, 'qcow2', 'o.qcow2', 'write -P 2 2M 64k');
  create('-f', 'raw', 'r.raw', '4M');
  qemuIo(folder, 'raw', 'r.raw', 'write -P 3 1M 64k', 'write -P 4 3M 4k');
  create(
    ...SECRET,
    '-f',
    'qcow2',
    '-o',
    'encrypt.format=luks,encrypt.key-secret=s,encrypt.iter-time=10',
    'e.qcow2',
    '1M',
  );
  create(...SECRET, '-f', 'luks', '-o', 'key-secret=s,iter-time=10', 'l.luks', '1M');
  create('-f', 'vmdk', 'f.vmdk', '1M');
  create('-f', 'qcow2', '-o', 'data_file=d.bin', 'x.qcow2', '1M');
  copyFileSync(join(folder, 'd.bin'), join(folder, 'other.bin'));
  qemuImg(folder, 'snapshot', '-c', 'one', 'a.qcow2');
  // qcow2 in a part of a raw image.
  const inner = readFileSync(join(folder, 'a.qcow2'));
  const outer = Buffer.alloc((1 << 20) + inner.length);
  inner.copy(outer, 1 << 20);
  writeFileSync(join(folder, 'outer.raw'), outer);
});

const opts = (text: string): string[] => ['--image-opts', text];

const READABLE: string[][] = [
  opts('driver=qcow2,file.filename=a.qcow2'),
  opts('driver=qcow2,file.driver=file,file.filename=a.qcow2,lazy-refcounts=on,file.aio=threads'),
  opts('file.filename=a.qcow2'),
  opts('driver=raw,offset=1M,size=1M,file.filename=r.raw'),
  opts('driver=raw,offset=1052672,file.filename=r.raw'),
  opts('driver=raw,size=2M,file.driver=file,file.filename=r.raw'),
  opts('driver=qcow2,backing=,file.filename=o.qcow2'),
  opts('driver=vmdk,file.filename=f.vmdk'),
  ['json:{"driver":"raw","offset":1048576,"file":{"driver":"file","filename":"r.raw"}}'],
  ['json:{"driver":"qcow2","file":{"driver":"file","filename":"o.qcow2"},"backing":null}'],
  ["json:{'driver':'qcow2','file.filename':'a.qcow2'}"],
  ['-f', 'qcow2', 'json:{"file":{"driver":"file","filename":"a.qcow2"}}'],
];

describe('what is read', () => {
  it.each(READABLE)('%s %s', async (...image) => {
    for (const command of ['info', 'map'])
      for (const output of ['human', 'json']) {
        const words = [command, `--output=${output}`, ...image];
        expect(await here(...words)).toMatchObject(qemu(...words));
      }
    const measure = ['measure', '-O', 'qcow2', ...image];
    expect(await here(...measure)).toMatchObject(qemu(...measure));
  });

  it('the protocol itself', async () => {
    for (const output of ['human', 'json']) {
      const words = ['info', `--output=${output}`, ...opts('driver=file,filename=a.qcow2')];
      expect(await here(...words)).toMatchObject(qemu(...words));
    }
  });

  it.each([
    'driver=qcow2,encrypt.key-secret=s,file.filename=e.qcow2',
    'driver=luks,key-secret=s,file.filename=l.luks',
  ])('a passphrase: %s', async (text) => {
    const words = ['info', '--output=json', ...SECRET, ...opts(text)];
    expect(await here(...words)).toMatchObject(qemu(...words));
    expect(await here('info', ...opts(text))).toMatchObject({ code: 2 });
  });

  it.each([
    'driver=qcow2,file.filename=o.qcow2,backing.driver=raw,backing.file.filename=r.raw',
    'driver=qcow2,file.filename=a.qcow2,backing.driver=raw,backing.offset=1M,backing.file.filename=r.raw',
    'driver=raw,file.driver=qcow2,file.file.filename=a.qcow2',
    'driver=qcow2,file.driver=raw,file.offset=1M,file.file.driver=file,file.file.filename=outer.raw',
    'driver=qcow2,file.filename=x.qcow2,data-file.filename=other.bin',
    'driver=qcow2,file.filename=o.qcow2,backing.lazy-refcounts=on',
  ])('layers: %s', async (text) => {
    const copy = join(folder, 'copy.raw');
    expect(await here('convert', '--follow', ...opts(text), 'copy.raw')).toMatchObject({ code: 0, err: '' });
    qemuImg(folder, 'convert', '--image-opts', text, 'theirs.raw');
    expect(readFileSync(copy).equals(readFileSync(join(folder, 'theirs.raw')))).toBe(true);
    const compare = ['compare', ...opts(text), 'driver=raw,file.filename=theirs.raw'];
    expect(await here(...compare, '--follow')).toMatchObject(qemu(...compare));
  });

  it('a table of nested layers names the file, and its places there', async () => {
    const words = [
      'map',
      '--output=json',
      ...opts('driver=raw,file.driver=qcow2,file.file.filename=a.qcow2'),
    ];
    expect(await here(...words)).toMatchObject(qemu(...words));
  });
});

describe('what is written', () => {
  const twice = async (
    run: (image: string) => Promise<Ran>,
    theirs: (image: string) => unknown,
    from = 'a.qcow2',
  ): Promise<void> => {
    for (const name of ['ours.img', 'theirs.img']) copyFileSync(join(folder, from), join(folder, name));
    expect(await run('ours.img')).toMatchObject({ code: 0, err: '' });
    theirs('theirs.img');
    const info = (name: string): unknown => ({
      ...JSON.parse(qemuImg(folder, 'info', '--output=json', name)),
      filename: '',
      'actual-size': 0,
    });
    expect(info('ours.img')).toEqual(info('theirs.img'));
    qemuImg(folder, 'compare', 'ours.img', 'theirs.img');
  };
  const qcow2 = (name: string): string => `driver=qcow2,file.filename=${name}`;

  it.each([
    ['resize', (name: string) => ['resize', ...opts(qcow2(name)), '9M']],
    ['amend', (name: string) => ['amend', '-o', 'lazy_refcounts=on', ...opts(qcow2(name))]],
    ['bitmap', (name: string) => ['bitmap', '--add', ...opts(qcow2(name)), 'b0']],
    ['snapshot', (name: string) => ['snapshot', '-d', 'one', ...opts(qcow2(name))]],
    ['check', (name: string) => ['check', '-q', '-r', 'all', ...opts(qcow2(name))]],
    [
      'json:',
      (name: string) => [
        'resize',
        '-q',
        `json:{"driver":"qcow2","file":{"driver":"file","filename":"${name}"}}`,
        '+1M',
      ],
    ],
  ])('%s', async (_, words) => {
    await twice(
      (name) => here(...words(name)),
      (name) => qemu(...words(name)),
    );
  });

  it('bits of a bitmap in an encrypted image', async () => {
    const from = `json:${JSON.stringify({ driver: 'qcow2', 'encrypt.key-secret': 's', 'file.filename': 'e.qcow2' })}`;
    qemuImg(
      folder,
      'bitmap',
      ...SECRET,
      '--add',
      '-g',
      '4k',
      ...opts('driver=qcow2,encrypt.key-secret=s,file.filename=e.qcow2'),
      'w',
    );
    qemuImg(folder, 'create', '-q', '-f', 'qcow2', 'b.qcow2', '1M');
    const words = (name: string): string[] => [
      'bitmap',
      '--add',
      '--merge',
      'w',
      '-b',
      from,
      '-F',
      'qcow2',
      ...SECRET,
      ...opts(qcow2(name)),
      'b0',
    ];
    await twice(
      (name) => here(...words(name)),
      (name) => qemu(...words(name)),
      'b.qcow2',
    );
  });

  it('rebase and commit', async () => {
    const rebase = (name: string): string[] => [
      'rebase',
      '-u',
      '-b',
      'r.raw',
      '-F',
      'raw',
      ...opts(qcow2(name)),
    ];
    await twice(
      (name) => here(...rebase(name)),
      (name) => qemu(...rebase(name)),
      'o.qcow2',
    );
    for (const name of ['base1.qcow2', 'base2.qcow2'])
      copyFileSync(join(folder, 'a.qcow2'), join(folder, name));
    for (const name of ['top1.qcow2', 'top2.qcow2'])
      copyFileSync(join(folder, 'o.qcow2'), join(folder, name));
    const over = (top: string, base: string): string =>
      `${qcow2(top)},backing.driver=qcow2,backing.file.filename=${base}`;
    expect(await here('commit', '-q', ...opts(over('top1.qcow2', 'base1.qcow2')))).toMatchObject({
      code: 0,
      err: '',
    });
    qemuImg(folder, 'commit', '-q', '--image-opts', over('top2.qcow2', 'base2.qcow2'));
    qemuImg(folder, 'compare', 'base1.qcow2', 'base2.qcow2');
  });

  it('convert into a target that is described, dd and checksum', async () => {
    for (const name of ['t1.raw', 't2.raw']) {
      rmSync(join(folder, name), { force: true });
      writeFileSync(join(folder, name), new Uint8Array(10 << 20).fill(9));
    }
    const into = (name: string): string[] => [
      'convert',
      '-n',
      ...opts('driver=qcow2,file.filename=a.qcow2'),
      '--target-image-opts',
      `driver=raw,offset=1M,size=8M,file.filename=${name}`,
    ];
    expect(await here(...into('t1.raw'))).toMatchObject({ code: 0, err: '' });
    qemuImg(folder, ...into('t2.raw'));
    expect(readFileSync(join(folder, 't1.raw')).equals(readFileSync(join(folder, 't2.raw')))).toBe(true);
    expect(
      await here(
        'convert',
        ...opts('file.filename=a.qcow2'),
        '--target-image-opts',
        'driver=raw,file.filename=t1.raw',
      ),
    ).toMatchObject({ code: 2 });
    const part = 'driver=raw,offset=1M,size=1M,file.filename=r.raw';
    expect(await here('dd', '--image-opts', `if=${part}`, 'of=dd.raw')).toMatchObject({ code: 0, err: '' });
    expect(
      readFileSync(join(folder, 'dd.raw')).equals(
        readFileSync(join(folder, 'r.raw')).subarray(1 << 20, 2 << 20),
      ),
    ).toBe(true);
    const sum = execFileSync('sha256sum', ['dd.raw'], { cwd: folder, encoding: 'utf8' }).split(' ')[0];
    expect((await here('checksum', ...opts(part))).out).toContain(sum);
  });

  it('a part of a raw image grows with its file, unless it has a size', async () => {
    for (const name of ['g1.raw', 'g2.raw']) copyFileSync(join(folder, 'r.raw'), join(folder, name));
    const words = (name: string): string[] => [
      'resize',
      '-q',
      ...opts(`driver=raw,offset=1M,file.filename=${name}`),
      '5M',
    ];
    expect(await here(...words('g1.raw'))).toMatchObject({ code: 0 });
    qemuImg(folder, ...words('g2.raw'));
    expect(readFileSync(join(folder, 'g1.raw')).equals(readFileSync(join(folder, 'g2.raw')))).toBe(true);
    const fixed = ['resize', '-q', ...opts('driver=raw,size=1M,file.filename=g1.raw'), '2M'];
    expect(await here(...fixed)).toMatchObject({ code: 1 });
    expect(qemu(...fixed).code).toBe(1);
    truncateSync(join(folder, 'g1.raw'), 0);
  });
});

describe('what is refused, by both', () => {
  it.each([
    'driver=qcow2,foo=1,file.filename=a.qcow2',
    'driver=qcow2,file.foo=1,file.filename=a.qcow2',
    'driver=nope,file.filename=a.qcow2',
    'driver=qcow2,filename=a.qcow2',
    'driver=raw,offset=5M,file.filename=r.raw',
    'driver=raw,size=5M,file.filename=r.raw',
    'driver=raw,size=700,file.filename=r.raw',
    'driver=raw,size=x,file.filename=r.raw',
    'driver=qcow2,file.filename=missing',
    'driver=qcow2,file.driver=file',
    '',
  ])('%s', async (text) => {
    const words = ['info', ...opts(text)];
    const ran = await here(...words);
    expect(ran).toMatchObject({ code: 1, out: '' });
    expect(ran.err).toMatch(/^platter: /);
    expect(qemu(...words).code).toBe(1);
  });

  it.each(['json:{"driver":"qcow2"', 'json:[]', 'json:{"driver":"qcow2","file":"a.qcow2"}'])(
    '%s',
    async (name) => {
      expect(await here('info', name)).toMatchObject({ code: 1, out: '' });
      expect(qemu('info', name).code).toBe(1);
    },
  );

  it('a name in an image is never understood so', async () => {
    const hidden = 'json:{"driver":"raw","file":{"driver":"file","filename":"r.raw"}}';
    qemuImg(folder, 'create', '-q', '-u', '-f', 'qcow2', '-b', hidden, '-F', 'raw', 'hidden.qcow2', '1M');
    for (const name of [['hidden.qcow2'], opts('driver=qcow2,file.filename=hidden.qcow2')]) {
      const ran = await here('map', '--follow', ...name);
      expect(ran).toMatchObject({ code: 1, out: '' });
      expect(ran.err).toContain('json');
    }
  });

  it('layers that a person names are not asked for at the gate, those below them are', async () => {
    copyFileSync(join(folder, 'a.qcow2'), join(folder, 'top.qcow2'));
    const text = 'driver=qcow2,file.filename=top.qcow2,backing.driver=qcow2,backing.file.filename=o.qcow2';
    const ran = await here('convert', ...opts(text), 'no.raw');
    expect(ran).toMatchObject({ code: 1 });
    expect(ran.err).toContain('a.qcow2');
    expect(await here('convert', '--follow', ...opts(text), 'yes.raw')).toMatchObject({ code: 0 });
  });
});
