import { describe, expect, it } from 'vitest';
import { applyEdits } from './edit.ts';
import { fixAll, lint } from './lint.ts';
import { parseCommandLine } from './parse.ts';

const MAIN_JOB = `-device virtio-blk-pci,scsi=off,bus=pci.0,addr=0x9,drive=drive-virtio-disk1,id=virtio-disk1
-drive file=/var/lib/libvirt/images/vm1.img,if=none,id=drive-virtio-disk2,format=qcow2`;

describe('the line of the main job', () => {
  it.each(['7.2', '10.2'])('has exactly two problems for QEMU %s, each with a fix', (version) => {
    const problems = lint(parseCommandLine(MAIN_JOB), { version });
    expect(problems.map((p) => p.rule)).toEqual(['V12', 'D01']);
    const [scsi, drive] = problems;
    expect(MAIN_JOB.slice(scsi.span.start, scsi.span.end)).toBe('scsi=off');
    expect(MAIN_JOB.slice(drive.span.start, drive.span.end)).toBe('drive-virtio-disk1');
    expect(drive.params).toMatchObject({ drive: 'drive-virtio-disk1', near: 'drive-virtio-disk2' });
    expect(drive.qemu).toBe("Property 'virtio-blk-device.drive' can't find value 'drive-virtio-disk1'");
    const fixed = applyEdits(MAIN_JOB, [...scsi.fixes[0].edits, ...drive.fixes[0].edits]);
    expect(fixed).toBe(
      `-device virtio-blk-pci,bus=pci.0,addr=0x9,drive=drive-virtio-disk2,id=virtio-disk1
-drive file=/var/lib/libvirt/images/vm1.img,if=none,id=drive-virtio-disk2,format=qcow2`,
    );
    expect(lint(parseCommandLine(fixed), { version })).toEqual([]);
    expect(fixAll(MAIN_JOB, { version })).toBe(fixed);
  });
});
