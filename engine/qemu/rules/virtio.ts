/** virtio devices. */
import { removeParam } from '../edit.ts';
import { deviceParam } from '../model/devices.ts';
import { compareVersions } from '../model/version.ts';
import { readBool } from '../model/values.ts';
import { fix, rule, type Finding } from './rule.ts';

export const virtioRules = [
  rule({
    // hw/block/virtio-blk.c: SCSI passthrough deprecated in 5.0, its property removed in 9.1 (docs/about/removed-features.rst).
    id: 'V12',
    severity: 'error',
    from: '5.0',
    qemu: ["Property '{owner}.scsi' not found"],
    *find({ model, line, context }): Iterable<Finding> {
      const gone = compareVersions(context.version, '9.1') >= 0;
      for (const device of model.devices) {
        if (device.kind?.family !== 'virtio-blk') continue;
        const scsi = deviceParam(device, 'scsi');
        if (scsi === undefined) continue;
        const on = readBool(scsi.value) === true;
        yield {
          span: scsi.span,
          params: { value: scsi.value, device: device.id ?? device.driver },
          names: { owner: device.canonical },
          severity: gone ? 'error' : 'warning',
          says: gone ? 0 : -1,
          variant: on ? 'on' : 'message',
          fixes: [fix('delete', { what: `scsi=${scsi.value}` }, removeParam(line, device.option, scsi))],
        };
      }
    },
  }),
];
