/** Attacks on a CD-ROM drive on IDE: commands for another kind of drive, packets, byte counts (hostile-inputs, line 17). */
import { CMD } from '../../ide/ata.ts';
import { BM_STATUS } from '../../ide/bus-master.ts';
import { OPCODE } from '../../scsi/opcode.ts';
import { attacksOf, type Attack } from './attack.ts';
import type { AtapiHostile } from './atapi-hostile.ts';

export type AtapiAttack = Attack<AtapiHostile>;

const WORDS_PER_BLOCK = 1024;
const BLOCK = 2048;
const ONES = [0xff, 0xff, 0xff, 0xff];
const FIRST_BLOCK = [OPCODE.read10, 0, 0, 0, 0, 0, 0, 0, 1];

const attack = attacksOf<AtapiHostile>();

/** A packet that must be refused. */
const refused = (id: string, source: string, cdb: readonly number[], limit = BLOCK): AtapiAttack =>
  attack(id, 'request', 'error', source, (hostile) => {
    hostile.read(0, 1);
    hostile.packet(cdb, limit);
  });

export const ATAPI_ATTACKS: readonly AtapiAttack[] = [
  attack(
    'atapi-ata-command',
    'request',
    'error',
    'ATA/ATAPI-7, 4.3',
    (hostile) => hostile.command(CMD.read, { count: 1, lba: 0 }),
    ['CVE-2015-6855'],
  ),
  attack(
    'atapi-data-port',
    'registers',
    'ignored',
    'ATA/ATAPI-7, 5.10',
    (hostile) => {
      hostile.read(0, 1);
      hostile.packet(FIRST_BLOCK, 0xfffe);
      hostile.answer(WORDS_PER_BLOCK);
      hostile.settle();
      return hostile.words(4096).every((word) => word === 0) ? 'ignored' : 'served';
    },
    ['CVE-2020-29443'],
  ),
  attack('atapi-reset', 'time', 'dropped', 'ATA/ATAPI-7, 9.2', (hostile) => {
    hostile.read(0, 1);
    hostile.packet(FIRST_BLOCK, BLOCK);
    hostile.answer(100);
    hostile.softReset();
    hostile.settle();
    return hostile.ready && hostile.words(2048).every((word) => word === 0) ? 'dropped' : undefined;
  }),
  attack('atapi-limit-zero', 'request', 'error', 'ATA/ATAPI-7, 6.35', (hostile) =>
    hostile.packet([OPCODE.inquiry, 0, 0, 0, 36], 0),
  ),
  attack('atapi-allocation', 'request', 'served', 'SPC-4, 4.2.5.6', (hostile) => {
    hostile.packet([OPCODE.inquiry, 0, 0, 0, 6], BLOCK);
    return hostile.answer().length === 3 ? undefined : 'error';
  }),
  attack(
    'atapi-dma-short',
    'table',
    'served',
    'Bus Master IDE 1.0, 1.2',
    (hostile) => {
      hostile.read(0, 1);
      hostile.blank();
      hostile.describe([[hostile.data, 100]]);
      hostile.packet(FIRST_BLOCK, 0, 1);
      hostile.start(true);
      hostile.settle();
      const stopped = (hostile.masterStatus & BM_STATUS.active) === 0;
      return stopped && hostile.untouched(100) ? 'served' : 'error';
    },
    ['CVE-2019-20175'],
  ),
  refused('atapi-past-disc', 'MMC-6, 6.19', [OPCODE.read10, 0, ...ONES, 0, 0, 1]),
  refused('atapi-count-huge', 'MMC-6, 6.20', [OPCODE.read12, 0, 0, 0, 0, 1, ...ONES]),
  refused('atapi-write', 'MMC-6, 4.1', [OPCODE.write10, 0, 0, 0, 0, 0, 0, 0, 1]),
  refused('atapi-opcode', 'MMC-6, 4.1', [0xff]),
];
