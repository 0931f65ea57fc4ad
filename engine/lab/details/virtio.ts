/** A virtio device's own registers: status and its life, features, interrupt status, common configuration. */
import type { DetailField } from '#contract/lab-details.ts';
import { formatArg } from '../../trace/format.ts';
import type { VirtioDevice } from '../../virtio/device.ts';
import { hasFeature, NO_VECTOR, STATUS } from '../../virtio/features.ts';
import { featureNames } from './feature-names.ts';
import type { RegisterMap } from './registers.ts';
import { bitFields, field, type BitName, type Section } from './section.ts';
import type { StatusLife } from './status-life.ts';

const STATUS_BITS: readonly BitName[] = [
  { bit: 0, name: 'ACKNOWLEDGE', meaning: 'status.acknowledge' },
  { bit: 1, name: 'DRIVER', meaning: 'status.driver' },
  { bit: 3, name: 'FEATURES_OK', meaning: 'status.features-ok' },
  { bit: 2, name: 'DRIVER_OK', meaning: 'status.driver-ok' },
  { bit: 6, name: 'DEVICE_NEEDS_RESET', meaning: 'status.needs-reset', bad: true },
  { bit: 7, name: 'FAILED', meaning: 'status.failed', bad: true },
];
const ISR_BITS: readonly BitName[] = [
  { bit: 0, name: 'Queue interrupt', meaning: 'isr.queue' },
  { bit: 1, name: 'Configuration change', meaning: 'isr.config' },
];

function statusFields({ device, registers, life, thread }: VirtioDetails): DetailField[] {
  const place = registers.place('status');
  const source = 'virtio 1.2, 2.1';
  const rows = [
    field('device_status', 'status', device.status, 1, { place, source }),
    ...bitFields(device.status, STATUS_BITS, { place, source }),
    field('thread', 'status.thread', null, 0, {
      text: thread,
      source: 'QEMU, docs/devel/multiple-iothreads.txt',
      place: { space: 'device' },
    }),
  ];
  const { error } = device;
  if (error !== undefined) {
    rows.push(
      field('error', 'status.error', null, 0, {
        text: `${error.code}: ${error.message}`,
        tone: 'bad',
        source: 'virtio 1.2, 2.1.2',
        place: { space: 'device' },
      }),
    );
  }
  rows.push(
    field('writes', 'status.life', life.update().length, 0, {
      as: 'count',
      source: 'virtio 1.2, 3.1.1',
      place,
    }),
  );
  for (const { value, by } of life.writes) {
    rows.push(
      field(by, by === 'driver' ? 'status.write' : 'status.broke', value, 1, {
        level: 1,
        text: value === 0 ? 'RESET' : formatArg('device-status', value),
        source: 'virtio 1.2, 3.1.1',
        place,
        tone: (value & (STATUS.needsReset | STATUS.failed)) !== 0 ? 'bad' : 'plain',
      }),
    );
  }
  return rows;
}

function featureFields(device: VirtioDevice, registers: RegisterMap): DetailField[] {
  const offered = device.offered | device.legacyOffered;
  const half = (set: bigint, index: number): number => Number((set >> BigInt(index * 32)) & 0xffff_ffffn);
  const source = 'virtio 1.2, 2.2';
  const rows = [0, 1].flatMap((index) => [
    field(`device_feature[${index}]`, 'feature.offered', half(offered, index), 4, {
      place: registers.place('deviceFeature'),
      source,
    }),
    field(`driver_feature[${index}]`, 'feature.acked', half(device.acked, index), 4, {
      place: registers.place('driverFeature'),
      source,
    }),
  ]);
  const names = featureNames(device.deviceId);
  for (let bit = 0; bit < 64; bit++) {
    if (!hasFeature(offered, bit)) continue;
    const known = names.find((entry) => entry.bit === bit);
    const acked = hasFeature(device.acked, bit);
    rows.push(
      field(
        `${bit} ${known?.name ?? ''}`.trim(),
        known ? `feature.${known.name}` : 'feature.unknown',
        acked ? 1 : 0,
        0,
        {
          level: 1,
          as: 'count',
          source: `virtio 1.2, ${known?.section ?? '6'}`,
          place: registers.place(acked ? 'driverFeature' : 'deviceFeature'),
          tone: acked ? 'on' : 'off',
          text: acked ? 'acknowledged' : 'refused',
        },
      ),
    );
  }
  return rows;
}

function commonFields(device: VirtioDevice, registers: RegisterMap): DetailField[] {
  const { source } = registers;
  const vector = (value: number): string => (value === NO_VECTOR ? 'NO_VECTOR' : '');
  const rows = [
    field('config_msix_vector', 'common.config-vector', device.configVector, 2, {
      source,
      place: registers.place('configVector'),
      text: vector(device.configVector),
    }),
    field('num_queues', 'common.num-queues', device.queues.length, 2, {
      source,
      as: 'count',
      place: registers.place('numQueues'),
    }),
    field('config_generation', 'common.generation', device.configGeneration, 1, {
      source: 'virtio 1.2, 2.5.1',
      as: 'count',
      place: registers.place('configGeneration'),
    }),
  ];
  for (const queue of device.queues) {
    if (!queue.enabled && queue.index > 0) continue;
    const row = (
      name: string,
      meaning: string,
      register: Parameters<RegisterMap['place']>[0],
      value: number,
      bytes: number,
      text = '',
    ): DetailField =>
      field(name, meaning, value, bytes, { level: 1, source, place: registers.place(register), text });
    rows.push(
      field('queue_select', 'common.queue-select', queue.index, 2, {
        source,
        as: 'count',
        place: registers.place('queueSelect'),
      }),
      row('queue_size', 'common.queue-size', 'queueSize', queue.size, 2),
      row('queue_msix_vector', 'common.queue-vector', 'queueVector', queue.vector, 2, vector(queue.vector)),
      field('queue_enable', 'common.queue-enable', queue.enabled ? 1 : 0, 2, {
        level: 1,
        source,
        place: registers.place('queueEnable'),
        tone: queue.enabled ? 'on' : 'off',
      }),
      row('queue_desc', 'common.queue-desc', 'queueDesc', queue.desc, 8),
      row('queue_driver', 'common.queue-driver', 'queueDriver', queue.driver, 8),
      row('queue_device', 'common.queue-device', 'queueDevice', queue.device, 8),
    );
  }
  // A transport that lacks a register has no row for it.
  return rows.filter(({ place }) => place !== null);
}

/** `line`: the level of the INTx pin, or undefined without one. */
function interruptFields(
  device: VirtioDevice,
  registers: RegisterMap,
  line: () => boolean | undefined,
): DetailField[] {
  const source = 'virtio 1.2, 4.1.4.5';
  const place = registers.place('isr');
  const level = line();
  return [
    field('ISR status', 'isr', device.isr, 1, { place, source }),
    ...bitFields(device.isr, ISR_BITS, { place, source }),
    ...(level === undefined
      ? []
      : [
          field('INTx', 'isr.line', level ? 1 : 0, 0, {
            as: 'count',
            source: 'PCI 3.0, 2.2.6',
            tone: level ? 'on' : 'off',
            text: level ? 'asserted' : 'deasserted',
            place: { space: 'device' },
          }),
        ]),
  ];
}

export interface VirtioDetails {
  device: VirtioDevice;
  registers: RegisterMap;
  life: StatusLife;
  line: () => boolean | undefined;
  /** Who serves its queues. */
  thread: string;
}

export function virtioSections(details: VirtioDetails): Section[] {
  const { device, registers, line } = details;
  return [
    { id: 'status', key: 'status', text: '', fields: () => statusFields(details) },
    { id: 'features', key: 'features', text: '', fields: () => featureFields(device, registers) },
    { id: 'common', key: 'common', text: '', fields: () => commonFields(device, registers) },
    { id: 'isr', key: 'isr', text: '', fields: () => interruptFields(device, registers, line) },
  ];
}
