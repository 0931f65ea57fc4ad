import { describe, expect, it } from 'vitest';
import { array, assert, constantFrom, property } from 'fast-check';
import { parseCommandLine } from '../parse.ts';
import { bundledSchema } from '../schema/bundled.ts';
import { argvOf, filesOf, planTrial } from './plan.ts';
import { readMessages } from './messages.ts';
import type { TrialContext } from './types.ts';

const context: TrialContext = {
  folder: '/private',
  file: (name) =>
    name === '/there.qcow2' ? { path: name, format: 'qcow2', virtualSize: 2 ** 26 } : undefined,
  bound: () => undefined,
  schema: bundledSchema,
  sandbox: true,
};
const plan = (line: string) => planTrial(parseCommandLine(line), context);
const argv = (line: string): string[] => argvOf(plan(line)).slice(10);

describe('planTrial', () => {
  it('leaves alone what is harmless, and keeps the order', () => {
    expect(argv('qemu-system-x86_64 -nodefaults -smp 2 -M q35 -boot c -device virtio-scsi-pci,id=s')).toEqual(
      '-nodefaults -smp 2 -M q35 -boot c -device virtio-scsi-pci,id=s'.split(' '),
    );
  });

  it('opens what is there for reading and makes the rest', () => {
    expect(argv('-drive file=/there.qcow2,if=none')).toEqual([
      '-drive',
      'file=/there.qcow2,if=none,snapshot=on',
    ]);
    const missing = plan('-drive file=/gone.vmdk,if=none,format=vmdk');
    expect(missing.images).toEqual([{ path: '/private/0-gone-vmdk.vmdk', format: 'vmdk', size: 2 ** 26 }]);
    expect(argvOf(missing).at(-1)).toBe('file=/private/0-gone-vmdk.vmdk,if=none,format=vmdk');
  });

  it('asks only for names that are files', () => {
    const line = parseCommandLine(
      '-hda /a -cdrom nbd://h/x -blockdev driver=file,filename=b,node-name=n -drive file=json:{}',
    );
    expect(filesOf(line, context).toSorted()).toEqual(['/a', 'b']);
  });

  it('hands no file over that was not found, however a back end is written', () => {
    const back = constantFrom(
      '-drive file=/secret',
      '-drive driver=file,filename=/secret',
      '-drive if=none,file.file.filename=/secret,file.driver=raw',
      '-drive driver=vvfat,dir=/secret,rw=on',
      '-drive id=d,if=none -set drive.d.file=/secret',
      '-blockdev driver=file,filename=/secret,node-name=f',
      '-blockdev driver=qcow2,file.filename=/secret,file.driver=host_device,node-name=q',
      `-blockdev '{"driver":"file","filename":"/secret"}'`,
      `-blockdev "{'driver':'raw','file':{'driver':'file','filename':'/secret'}}"`,
      '-blockdev driver=blkdebug,config=/secret,image.driver=file,image.filename=/secret',
      '-hda /secret',
      '-pflash file:/secret',
      '/secret',
      '-chardev file,id=c,path=/secret',
      `-chardev '{"id":"c","k,path=/secret":"x"}'`,
      '-serial file:/secret',
      '-netdev tap,id=n,script=/secret',
      '-device e1000,romfile=/secret',
      '-device usb-tablet,pcap=/secret',
      '-global e1000.romfile=/secret',
      '-machine q35,dumpdtb=/secret',
      '-object memory-backend-file,id=m,size=1M,mem-path=/secret',
      '-object secret,id=s,file=/secret',
    );
    assert(
      property(array(back, { maxLength: 8 }), (words) => {
        const made = argvOf(plan(`qemu-system-x86_64 ${words.join(' ')}`));
        expect(made.filter((word) => word.includes('/secret'))).toEqual([]);
      }),
      { numRuns: 500 },
    );
  });
});

describe('readMessages', () => {
  it('takes lines without a name to the message before, and puts the names of the line back', () => {
    const line = parseCommandLine('-drive file=/x.raw,format=raw,id=d');
    const made = planTrial(line, context);
    const path = made.images[0].path;
    const printed = `q: -drive ${made.argv.at(-1)?.words[1] ?? ''}: Failed to get "write" lock\nIs another process using the image [${path}]?\nq: warning: hello\n`;
    expect(readMessages(printed, 'q', made, line, { version: '7.2' })).toMatchObject([
      {
        text: 'Failed to get "write" lock\nIs another process using the image [/x.raw]?',
        level: 'error',
        span: { start: 0 },
      },
      { text: 'hello', level: 'warning' },
    ]);
  });
});
