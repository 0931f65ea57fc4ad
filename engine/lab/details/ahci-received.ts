/** The area of received FISes of an AHCI port: what the drive told last, by kind (AHCI 1.3.1, section 4.2.1). */
import type { DetailField } from '#contract/lab-details.ts';
import type { AhciPort } from '../../ide/ahci/port.ts';
import { FIS, PORT, RECEIVED } from '../../ide/ahci/registers.ts';
import { ERROR_BITS, STATUS_BITS } from './ide.ts';
import { bitFields, field, type FieldOptions } from './section.ts';

const AREA = 'AHCI 1.3.1, 4.2.1';

interface Kind {
  name: string;
  /** Its name in Serial ATA, and the section there. */
  title: string;
  source: string;
  meaning: string;
  /** Where it lies in the area, bytes. */
  offset: number;
  type: number;
}
const KINDS: readonly Kind[] = [
  {
    name: 'PSFIS',
    title: 'PIO Setup',
    source: 'Serial ATA 3.2, 10.5.11',
    meaning: 'ahci.received.pio',
    offset: RECEIVED.pioSetup,
    type: FIS.pioSetup,
  },
  {
    name: 'RFIS',
    title: 'Register - Device to Host',
    source: 'Serial ATA 3.2, 10.5.6',
    meaning: 'ahci.received.register',
    offset: RECEIVED.register,
    type: FIS.deviceToHost,
  },
  {
    name: 'SDBFIS',
    title: 'Set Device Bits',
    source: 'Serial ATA 3.2, 10.5.7',
    meaning: 'ahci.received.bits',
    offset: RECEIVED.deviceBits,
    type: FIS.deviceBits,
  },
];

/** The area, and each FIS in it that has come at all. */
export function receivedFises(port: AhciPort): DetailField[] {
  const { registers } = port;
  const { received } = port.engines;
  const base = registers.value(PORT.fb) + registers.value(PORT.fbu) * 2 ** 32;
  const area = field('received FIS', 'ahci.received', base, 8, {
    source: AREA,
    place: { space: 'memory', address: base },
    tone: received < 0 ? 'off' : 'on',
  });
  if (received < 0) return [area];
  return [area, ...KINDS.flatMap((kind) => receivedFis(port, kind, base + kind.offset))];
}

function receivedFis(port: AhciPort, kind: Kind, address: number): DetailField[] {
  const { memory, engines } = port;
  const { view } = memory;
  const from = engines.received + kind.offset;
  const at = (offset: number): FieldOptions => ({
    level: 1,
    source: kind.source,
    place: { space: 'memory', address: address + offset },
  });
  const type = view.getUint8(from);
  const came = type === kind.type;
  const head = field(kind.name, kind.meaning, type, 1, {
    ...at(0),
    level: 0,
    text: kind.title,
    tone: came ? 'plain' : 'off',
  });
  if (!came) return [head];
  const status = view.getUint8(from + 2);
  const error = view.getUint8(from + 3);
  const low = { level: 2, source: kind.source };
  const rows = [
    head,
    ...bitFields(view.getUint8(from + 1), [{ bit: 6, name: 'I', meaning: 'ahci.received.i' }], at(1)),
    field('Status', 'ahci.received.status', status, 1, at(2)),
    ...bitFields(status, STATUS_BITS, { ...at(2), ...low }),
    field('Error', 'ide.error', error, 1, at(3)),
    ...bitFields(error, ERROR_BITS, { ...at(3), ...low }),
  ];
  if (kind.type === FIS.deviceBits) {
    return [...rows, field('SActive', 'ahci.received.sactive', view.getUint32(from + 4, true), 4, at(4))];
  }
  const upper = view.getUint32(from + 8, true) & 0xff_ffff;
  const lba = (view.getUint32(from + 4, true) & 0xff_ffff) + upper * 2 ** 24;
  rows.push(
    field('LBA', 'ide.lba', lba, 0, { ...at(4), as: 'count' }),
    field('Device', 'ahci.cfis.device', view.getUint8(from + 7), 1, at(7)),
    field('Count', 'ide.count', view.getUint16(from + 12, true), 2, { ...at(12), as: 'count' }),
  );
  if (kind.type === FIS.pioSetup) {
    rows.push(
      field('E_Status', 'ahci.received.e-status', view.getUint8(from + 15), 1, at(15)),
      field('Transfer Count', 'ahci.received.transfer', view.getUint16(from + 16, true), 2, {
        ...at(16),
        as: 'bytes',
      }),
    );
  }
  return rows;
}
