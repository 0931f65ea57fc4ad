import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { workFolder } from '../testing/qemu-img.ts';
import { platter } from '../testing/run-command.ts';

const { folder, remove } = workFolder();
afterAll(remove);

const PRINTED =
  "qemu-system-x86_64: -device virtio-blk-pci,drive=disk1: Property 'virtio-blk-device.drive' can't find value 'disk1'\n";

it('says what a message means', async () => {
  const ran = await platter(['explain-error', '-'], `booting …\n${PRINTED}`);
  expect(ran).toMatchObject({ code: 0, err: '' });
  expect(ran.out).toMatch(/^Property 'virtio-blk-device\.drive' can't find value 'disk1' \[D01\]\n {2}\S/);
});

it('finds the fault in the line, and mends it', async () => {
  const line = join(folder, 'vm.sh');
  writeFileSync(line, '-drive file=a,if=none,id=disk2,format=raw \\\n -device virtio-blk-pci,drive=disk1\n');
  const ran = await platter(['explain-error', '--line', line, '-'], PRINTED);
  expect(ran.out).toContain(`${line}:2:31: error:`);
  const mended = await platter(['explain-error', '--fix', '--line', line, '-'], PRINTED);
  expect(mended.out).toBe(
    '-drive file=a,if=none,id=disk2,format=raw \\\n -device virtio-blk-pci,drive=disk2\n',
  );
  expect(mended.err).toContain('D01');
});

it('says when the line does not have the fault, and when nothing is known', async () => {
  const line = join(folder, 'other.sh');
  writeFileSync(line, '-m 1G\n');
  expect((await platter(['explain-error', '--line', line, '-'], PRINTED)).out).toContain(
    'does not have this fault',
  );
  expect(await platter(['explain-error', '-'], 'hello\n')).toMatchObject({ code: 1 });
  expect(await platter(['explain-error', join(folder, 'none')])).toMatchObject({ code: 2 });
});
