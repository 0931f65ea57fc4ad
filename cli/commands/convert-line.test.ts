import { expect, it } from 'vitest';
import { platter } from '../testing/run-command.ts';

it('writes a line in another spelling', async () => {
  const line = '-drive file=a.img,format=raw,if=virtio';
  expect(await platter(['convert-line', '--to', 'blockdev', '-'], line)).toEqual({
    code: 0,
    err: '',
    out: '-blockdev driver=raw,node-name=virtio0,file.driver=file,file.filename=a.img -device virtio-blk-pci,drive=virtio0\n',
  });
  const xml = await platter(['convert-line', '--to', 'libvirt', '-'], line);
  expect(xml.out).toContain("<source file='a.img'/>");
  expect((await platter(['convert-line', '--from', 'libvirt', '-'], xml.out)).out).toContain(
    'filename=a.img',
  );
});

it('says what it could not carry over', async () => {
  const ran = await platter(
    ['convert-line', '--to', 'blockdev', '-'],
    '-drive file=a,if=none,id=d,snapshot=on',
  );
  expect(ran.code).toBe(1);
  expect(ran.err).toContain('d stays as it is');
});

it('lists recipes and shows one', async () => {
  expect((await platter(['recipes'])).out).toContain('luks');
  expect((await platter(['recipes', 'luks'])).out).toContain('-object secret,id=key0,file=passphrase.txt');
  expect(await platter(['recipes', 'constructor'])).toMatchObject({ code: 1, out: '' });
});
