/** Attacks on an AHCI port: command list, command tables, FISes, regions, queued commands, resets (hostile-inputs, line 17). */
import type { AttackOutcome } from '#contract/lab-attacks.ts';
import { PORT, PXCMD, PXIS, TABLE } from '../../ide/ahci/registers.ts';
import { CMD } from '../../ide/ata.ts';
import type { AhciCommand, AhciHostile } from './ahci-hostile.ts';
import { attacksOf, type Attack } from './attack.ts';

export type AhciAttack = Attack<AhciHostile>;

const SECTOR = 512;
const ELSEWHERE = 100;
/** Above every guest's memory, below the devices. */
const NOWHERE = 0xe000_0000;
const PAST = 2 ** 48 - 16;
const MOST_PRDS = 0xffff;
/** A command table with one region. */
const TABLE_BYTES = TABLE.prdt + TABLE.prdBytes;

const attack = attacksOf<AhciHostile>();

/** A command that is none: its slot stays issued, the drive does not hear of it. */
const unheard = (id: string, source: string, more: AhciCommand): AhciAttack =>
  attack(id, 'table', 'ignored', `AHCI 1.3.1, ${source}`, (hostile) => {
    const before = hostile.status;
    hostile.command(CMD.readDmaExt, { regions: [[hostile.data, SECTOR]], ...more });
    const quiet = hostile.untouched(0) && hostile.status === before;
    return quiet ? 'ignored' : undefined;
  });

/** A read of four sectors over these regions: bytes go where memory is, and the command ends. */
const regions = (
  id: string,
  expects: AttackOutcome,
  more: (hostile: AhciHostile) => AhciCommand,
  cves: readonly string[] = [],
): AhciAttack =>
  attack(
    id,
    'table',
    expects,
    'AHCI 1.3.1, 4.2.3.3',
    (hostile) => {
      hostile.command(CMD.readDmaExt, { count: 4, lba: ELSEWHERE, ...more(hostile) });
      if (!hostile.untouched(4 * SECTOR)) return 'error';
      return expects === 'ignored' && hostile.untouched(0) ? 'ignored' : undefined;
    },
    cves,
  );

/** Those that ask nothing of a disk's sectors: they can be tried on a CD-ROM drive as well. */
const OF_ANY_DRIVE = new Set([
  'ahci-list-outside',
  'ahci-fis-outside',
  'ahci-stopped',
  'ahci-all-slots',
  'ahci-table-outside',
  'ahci-table-edge',
  'ahci-fis-type',
  'ahci-fis-multiplier',
  'ahci-past-capacity',
  'ahci-unknown-command',
]);

const QUEUED = 'Serial ATA 3.2, 13.6';

export const AHCI_ATTACKS: readonly AhciAttack[] = [
  attack('ahci-list-outside', 'registers', 'ignored', 'AHCI 1.3.1, 3.3.1', (hostile) => {
    hostile.start(NOWHERE, hostile.received);
    const running = hostile.get(PORT.cmd) & PXCMD.listRunning;
    hostile.issue(1);
    hostile.settle();
    return running === 0 ? 'ignored' : undefined;
  }),
  attack('ahci-fis-outside', 'registers', 'ignored', 'AHCI 1.3.1, 3.3.3', (hostile) => {
    hostile.start(hostile.list, NOWHERE);
    return (hostile.get(PORT.cmd) & PXCMD.fisRunning) === 0 ? 'ignored' : undefined;
  }),
  attack('ahci-stopped', 'registers', 'ignored', 'AHCI 1.3.1, 3.3.14', (hostile) => {
    hostile.set(PORT.cmd, 0);
    hostile.command(CMD.readDmaExt, { regions: [[hostile.data, SECTOR]] });
    return hostile.untouched(0) ? 'ignored' : undefined;
  }),
  attack('ahci-all-slots', 'registers', 'ignored', 'AHCI 1.3.1, 5.3.8', (hostile) => {
    // Thirty-two headers of zeroes: no table, no FIS.
    hostile.issue(0xffff_ffff);
    hostile.settle();
    return hostile.untouched(0) ? 'ignored' : undefined;
  }),
  unheard('ahci-table-outside', '4.2.2', { table: NOWHERE }),
  attack('ahci-table-edge', 'table', 'error', 'AHCI 1.3.1, 6.1.2', (hostile) => {
    const last = hostile.memory.regions[hostile.memory.regions.length - 1];
    hostile.command(CMD.readDmaExt, { table: last.base + last.size - 64 });
    return (hostile.get(PORT.is) & (1 << PXIS.hostBusFatal)) === 0 ? undefined : 'error';
  }),
  unheard('ahci-fis-type', '4.2.3.1', { fis: [0x46] }),
  unheard('ahci-fis-multiplier', '4.2.3.1', { fis: [0x27, 0x8f] }),
  attack('ahci-fis-length', 'table', 'served', 'AHCI 1.3.1, 4.2.2', (hostile) => {
    hostile.command(CMD.readDmaExt, { words: 31, regions: [[hostile.data, SECTOR]] });
  }),
  regions('ahci-prdt-none', 'ignored', () => ({ regions: [] }), ['CVE-2019-20175']),
  regions('ahci-prdt-short', 'ignored', ({ data }) => ({ regions: [[data, SECTOR]] }), ['CVE-2019-20175']),
  attack('ahci-prdt-huge', 'table', 'ignored', 'AHCI 1.3.1, 4.2.2', (hostile) => {
    const { memory, data } = hostile;
    const last = memory.regions[memory.regions.length - 1];
    const edge = last.base + last.size - TABLE_BYTES;
    const before = new Uint8Array(TABLE_BYTES);
    memory.read(edge, before);
    hostile.describe(0, CMD.readDmaExt, { regions: [[data, SECTOR]], prdtl: MOST_PRDS, table: edge });
    const table = new Uint8Array(TABLE_BYTES);
    memory.read(hostile.tableOf(0), table);
    memory.write(edge, table);
    hostile.issue(1);
    hostile.settle();
    memory.write(edge, before);
    return hostile.untouched(0) ? 'ignored' : undefined;
  }),
  regions('ahci-prd-outside', 'served', () => ({ regions: [[2 ** 40, 4 * SECTOR]] })),
  regions('ahci-prd-wrap', 'served', () => ({ regions: [[0xffff_ffff_ffff_fff0n, 4 * SECTOR]] })),
  regions('ahci-prd-registers', 'served', ({ port }) => ({ regions: [[port, 4 * SECTOR]] })),
  regions('ahci-prd-long', 'served', ({ data }) => ({ regions: [[data, 4 * 1024 * 1024]] })),
  attack('ahci-past-capacity', 'request', 'error', 'ATA/ATAPI-7, 6.24', (hostile) => {
    hostile.command(CMD.readDmaExt, { lba: PAST, regions: [[hostile.data, SECTOR]] });
  }),
  attack('ahci-unknown-command', 'request', 'error', 'ATA/ATAPI-7, 6.1', (hostile) => {
    hostile.command(0xff);
  }),
  attack('ahci-packet', 'request', 'error', 'ATA/ATAPI-7, 6.35', (hostile) => {
    hostile.command(CMD.packet);
  }),
  attack('ncq-past-capacity', 'request', 'error', QUEUED, (hostile) => hostile.queuedRead(1, PAST)),
  attack(
    'ncq-short',
    'request',
    'error',
    QUEUED,
    (hostile) => {
      hostile.queuedRead(8, ELSEWHERE, { regions: [[hostile.data, SECTOR]] });
      return (hostile.get(PORT.is) & (1 << PXIS.overflow)) === 0 ? undefined : 'error';
    },
    ['CVE-2019-20175'],
  ),
  attack('ncq-unknown', 'request', 'ignored', QUEUED, (hostile) => {
    hostile.describe(0, CMD.ncqNonData, { feature: 1, count: 0, regions: [[hostile.data, SECTOR]] });
    hostile.issue(1, true);
    hostile.settle();
    return hostile.untouched(0) ? 'ignored' : undefined;
  }),
  attack('ncq-tag-twice', 'time', 'ignored', QUEUED, (hostile) => {
    // Two slots with tag 0: the second would write elsewhere.
    hostile.describe(0, CMD.readFpdmaQueued, { feature: 1, count: 0, regions: [[hostile.data, SECTOR]] });
    hostile.describe(1, CMD.readFpdmaQueued, {
      feature: 1,
      count: 0,
      regions: [[hostile.data + SECTOR, SECTOR]],
    });
    hostile.issue(3, true);
    hostile.settle();
    return hostile.untouched(SECTOR) ? 'ignored' : undefined;
  }),
  attack(
    'ahci-reset-in-flight',
    'time',
    'dropped',
    'AHCI 1.3.1, 10.4.2',
    (hostile) => {
      hostile.describe(0, CMD.readFpdmaQueued, {
        feature: 8,
        count: 0,
        lba: ELSEWHERE,
        regions: [[hostile.data, 8 * SECTOR]],
      });
      hostile.issue(1, true);
      hostile.reset();
      hostile.settle();
      return hostile.get(PORT.sact) === 0 && hostile.untouched(0) ? 'dropped' : undefined;
    },
    ['CVE-2023-5088'],
  ),
  attack(
    'ahci-reset-write',
    'time',
    'dropped',
    'AHCI 1.3.1, 10.4.2',
    (hostile) => {
      const first = hostile.sector(0);
      // What is written is what stands there already: only a sector 0 that changes would tell.
      hostile.read(ELSEWHERE, 8);
      hostile.describe(0, CMD.writeDmaExt, {
        count: 8,
        lba: ELSEWHERE,
        regions: [[hostile.data, 8 * SECTOR]],
      });
      hostile.issue(1);
      hostile.reset();
      hostile.settle();
      hostile.start(hostile.list, hostile.received);
      return Buffer.compare(hostile.sector(0), first) === 0 ? 'dropped' : 'served';
    },
    ['CVE-2023-5088'],
  ),
  attack('ahci-changed-fis', 'time', 'served', 'AHCI 1.3.1, 5.3.8', (hostile) => {
    const before = hostile.sector(0);
    hostile.blank();
    hostile.describe(0, CMD.readDmaExt, { regions: [[hostile.data, SECTOR]] });
    hostile.issue(1);
    // The controller has the FIS: what the table says now counts for nobody.
    hostile.describe(0, CMD.writeDmaExt, { lba: PAST, regions: [[NOWHERE, SECTOR]] });
    hostile.settle();
    const bytes = new Uint8Array(SECTOR);
    hostile.memory.read(hostile.data, bytes);
    return Buffer.compare(bytes, before) === 0 ? undefined : 'error';
  }),
];

export const AHCI_DISC_ATTACKS: readonly AhciAttack[] = AHCI_ATTACKS.filter(({ id }) => OF_ANY_DRIVE.has(id));
