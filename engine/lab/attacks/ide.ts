/** Attacks on an IDE disk: the data port, descriptors of the bus master, resets in the middle, commands (hostile-inputs, line 17). */
import type { AttackOutcome } from '#contract/lab-attacks.ts';
import { CMD, STATUS } from '../../ide/ata.ts';
import { REGISTER } from '../../ide/channel.ts';
import type { Attack } from './attack.ts';
import type { IdeHostile, RawPrd } from './ide-hostile.ts';

export type IdeAttack = Attack<IdeHostile>;

const ATA = 'ATA/ATAPI-7';
const BUS_MASTER = 'Bus Master IDE 1.0, 1.2';
const WORDS_PER_SECTOR = 256;
const SECTOR = 512;
/** Sectors far enough behind the first. */
const ELSEWHERE = 100;
const PAST = 2 ** 48 - 16;

const attack = (
  id: string,
  group: IdeAttack['group'],
  expects: AttackOutcome,
  source: string,
  run: IdeAttack['run'],
  cves: readonly string[] = [],
): IdeAttack => ({ id, group, expects, source, cves, run });

/** Nothing but the driver's own memory may change. */
const within =
  (run: (hostile: IdeHostile) => AttackOutcome | undefined): IdeAttack['run'] =>
  (hostile) => {
    const seen = run(hostile);
    return hostile.spilt ? 'served' : seen;
  };

/** A read of four sectors over these descriptors: bytes go where memory is, and the command ends. */
const table = (
  id: string,
  prds: (hostile: IdeHostile) => readonly RawPrd[],
  /** Bytes of the data that may be written. */
  allowed: number,
  more: { cves?: readonly string[]; expects?: AttackOutcome; endless?: boolean } = {},
): IdeAttack =>
  attack(
    id,
    'table',
    more.expects ?? 'served',
    BUS_MASTER,
    (hostile) => {
      hostile.readDma(4, ELSEWHERE, prds(hostile), { endless: more.endless });
      if (hostile.spilt || !hostile.ready || !hostile.untouched(allowed)) return 'error';
      return allowed === 0 ? 'ignored' : undefined;
    },
    more.cves,
  );

const refused = (
  id: string,
  source: string,
  command: number,
  task: Parameters<IdeHostile['command']>[1] = {},
  cves: readonly string[] = [],
): IdeAttack =>
  attack(
    id,
    'request',
    'error',
    `${ATA}, ${source}`,
    within((hostile) => {
      hostile.command(command, task);
      return undefined;
    }),
    cves,
  );

export const IDE_ATTACKS: readonly IdeAttack[] = [
  attack(
    'ide-data-port',
    'registers',
    'ignored',
    `${ATA}, 5.10`,
    within((hostile) => {
      hostile.command(CMD.readExt, { count: 1, lba: ELSEWHERE });
      hostile.words(WORDS_PER_SECTOR);
      hostile.settle();
      return hostile.words(4096).every((word) => word === 0) ? 'ignored' : 'served';
    }),
    ['CVE-2020-29443'],
  ),
  attack(
    'ide-reset-read',
    'time',
    'dropped',
    `${ATA}, 9.2`,
    within((hostile) => {
      hostile.command(CMD.readExt, { count: 4, lba: ELSEWHERE });
      hostile.words(100);
      hostile.softReset();
      hostile.settle();
      return hostile.ready && hostile.words(512).every((word) => word === 0) ? 'dropped' : undefined;
    }),
    ['CVE-2020-29443'],
  ),
  attack(
    'ide-reset-write',
    'time',
    'dropped',
    `${ATA}, 9.2`,
    within((hostile) => {
      const first = hostile.sector(0);
      // What is written is what stands there already: only a sector 0 that changes would tell.
      hostile.read(ELSEWHERE, 8);
      hostile.describe([[hostile.data, 8 * SECTOR]]);
      hostile.issue(CMD.writeDmaExt, { count: 8, lba: ELSEWHERE });
      hostile.start(false);
      hostile.softReset();
      hostile.settle();
      hostile.stop();
      hostile.settle();
      const clean = hostile.ready;
      return Buffer.compare(hostile.sector(0), first) === 0 && clean ? 'dropped' : 'served';
    }),
    ['CVE-2023-5088'],
  ),
  attack(
    'ide-busy-command',
    'time',
    'ignored',
    `${ATA}, 5.2`,
    within((hostile) => {
      hostile.command(CMD.readExt, { count: 2, lba: ELSEWHERE });
      // The drive waits for its data to be fetched: registers and command belong to it.
      hostile.out(REGISTER.lbaLow, 0xff);
      hostile.out(REGISTER.status, CMD.readDmaExt);
      hostile.settle();
      const kept = hostile.in(REGISTER.lbaLow) !== 0xff;
      return kept && (hostile.status & STATUS.drq) !== 0 ? 'ignored' : undefined;
    }),
  ),
  table('ide-prd-zero', ({ data }) => [[data, 0]], 4 * SECTOR),
  table('ide-prd-odd', ({ data }) => [[data + 1, 4 * SECTOR + 1]], 4 * SECTOR + 2),
  table('ide-prd-wrap', () => [[0xffff_fffe, 0]], 4 * SECTOR),
  table('ide-prd-outside', () => [[0xe000_0000, 4 * SECTOR]], 4 * SECTOR),
  table('ide-prd-registers', () => [[0xfee0_0000, 4 * SECTOR]], 4 * SECTOR),
  attack('ide-prd-over-the-end', 'table', 'served', BUS_MASTER, (hostile) => {
    const { memory } = hostile;
    const last = memory.regions[memory.regions.length - 1];
    const edge = last.base + last.size - 2;
    const before = memory.readUint(edge, 2);
    hostile.readDma(4, ELSEWHERE, [[edge, 4 * SECTOR]]);
    // Those two are somebody's, and were asked for.
    memory.writeUint(edge, 2, before);
    return hostile.spilt || !hostile.untouched(0) ? 'error' : undefined;
  }),
  table('ide-prd-short', ({ data }) => [[data, 514]], 0, { expects: 'ignored', cves: ['CVE-2019-20175'] }),
  table('ide-prd-endless', ({ data }) => Array.from({ length: 512 }, () => [data, 2] as const), 0, {
    expects: 'ignored',
    endless: true,
  }),
  attack(
    'ide-table-outside',
    'table',
    'served',
    BUS_MASTER,
    within((hostile) => {
      hostile.stop();
      hostile.command(CMD.readDmaExt, { count: 4, lba: ELSEWHERE });
      hostile.start(true, 0xe000_0000);
      hostile.settle();
      return hostile.ready ? undefined : 'error';
    }),
  ),
  attack(
    'ide-table-changed',
    'time',
    'served',
    BUS_MASTER,
    within((hostile) => {
      hostile.describe([[hostile.data, 4 * SECTOR]]);
      hostile.issue(CMD.readDmaExt, { count: 4, lba: ELSEWHERE });
      hostile.start(true);
      // The table was read when the bus master started.
      hostile.describe([[0, 4 * SECTOR]]);
      hostile.settle();
      return undefined;
    }),
  ),
  attack(
    'ide-past-capacity',
    'request',
    'error',
    `${ATA}, 6.24`,
    within((hostile) => {
      hostile.readDma(16, PAST, [[hostile.data, 16 * SECTOR]]);
      return hostile.untouched(0) ? undefined : 'served';
    }),
  ),
  refused('ide-unknown-command', '6.1', 0xff),
  refused('ide-packet', '6.35', CMD.packet),
  refused('ide-multiple', '6.56', CMD.setMultiple, { count: 255 }),
  attack(
    'ide-no-geometry',
    'request',
    'error',
    `${ATA}, 6.18`,
    within((hostile) => {
      hostile.command(CMD.initializeParameters, { count: 0, device: 0x0f });
      // Cylinder, head and a sector number of 0: sector -1.
      hostile.command(CMD.read, { count: 1, lba: 0x00ff_ff00, device: 0x0f });
      return undefined;
    }),
  ),
  attack(
    'ide-trim-past',
    'request',
    'error',
    'ACS-2, 7.10.3',
    within((hostile) => {
      const { memory, data } = hostile;
      memory.write(data, new Uint8Array(SECTOR));
      memory.write(data, Uint8Array.of(0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff));
      hostile.describe([[data, SECTOR]]);
      hostile.command(CMD.dataSetManagement, { feature: 1, count: 1 });
      hostile.start(false);
      hostile.settle();
      return undefined;
    }),
  ),
];
