/**
 * What a hostile guest may try, line by line, and the test that proves it for each kind of device. The lines are ways in which device models
 * have failed; what they are is written at each of them. devices.test.ts keeps every reference true. Attacks of the laboratory's panel run
 * on every layout and transport that they fit, and on vhost-scsi and vhost-user-blk (engine/lab/attacks/attacks.test.ts).
 */

import type { Proof } from './proof.ts';

export const KINDS = [
  'virtio-blk split',
  'virtio-blk packed',
  'virtio-scsi split',
  'virtio-scsi packed',
  'ide',
  'ahci',
] as const;
export type Kind = (typeof KINDS)[number];

export interface Line {
  number: number;
  /** What is tried. */
  what: string;
  /** For every kind the tests that prove it, or why it cannot be tried there. */
  kinds: Readonly<Record<Kind, readonly Proof[] | string>>;
}

const BLK_RINGS = 'engine/virtio/queue/hostile.test.ts';
const CHAINS = 'engine/virtio/testing/hostile-chains.ts';
const SCSI_RINGS = 'engine/virtio/scsi/hostile-rings.test.ts';
const SPLIT = 'engine/virtio/queue/split.test.ts';
const SCSI = 'engine/virtio/scsi/hostile.test.ts';
const BLK = 'engine/virtio/blk/device.test.ts';
const ERASE = 'engine/virtio/blk/secure-erase.test.ts';
const SIZE_MAX = 'engine/virtio/blk/size-max.test.ts';
const DISK = 'engine/scsi/disk/disk.test.ts';
const IDE = 'engine/ide/hostile.test.ts';
const IDE_FUZZ = 'engine/ide/fuzz.test.ts';
const REGISTERS = 'engine/virtio/transport/fuzz.test.ts';
const PANEL = 'engine/lab/attacks/';

/** The same tests run over both layouts. */
const virtio = (
  blk: readonly Proof[],
  scsi: readonly Proof[],
): Pick<
  Line['kinds'],
  'virtio-blk split' | 'virtio-blk packed' | 'virtio-scsi split' | 'virtio-scsi packed'
> => ({
  'virtio-blk split': blk,
  'virtio-blk packed': blk,
  'virtio-scsi split': scsi,
  'virtio-scsi packed': scsi,
});
/** A chain of the list that both devices are given, on all their queues. */
const chain = (name: string): Pick<Line['kinds'], keyof ReturnType<typeof virtio>> =>
  virtio(
    [
      [CHAINS, name],
      [BLK_RINGS, 'hostileChains'],
    ],
    [
      [CHAINS, name],
      [SCSI_RINGS, 'it.each([...chains])'],
    ],
  );
const NO_RING = 'it has no virtqueue';
const NO_INDEX = 'a packed ring has no available ring: whose a descriptor is say its flags';
const panel = (file: string, id: string): Proof => [`${PANEL}${file}.ts`, `'${id}'`];

export const LINES: readonly Line[] = [
  {
    number: 1,
    what: 'a chain that goes in a circle, or has more descriptors than the queue',
    kinds: {
      ...chain('line 1: a chain that never ends'),
      ide: [panel('ide', 'ide-prd-endless')],
      ahci: [panel('ahci', 'ahci-prdt-huge')],
    },
  },
  {
    number: 2,
    what: 'a head or a link past the table',
    kinds: {
      'virtio-blk split': [
        [SPLIT, 'virtio.desc-next'],
        [SPLIT, 'virtio.avail-head'],
      ],
      'virtio-blk packed': NO_INDEX,
      'virtio-scsi split': [[SCSI_RINGS, 'line 2: a head past the table']],
      'virtio-scsi packed': NO_INDEX,
      ide: [panel('ide', 'ide-table-outside')],
      ahci: [panel('ahci', 'ahci-table-outside')],
    },
  },
  {
    number: 3,
    what: 'an available index that runs ahead',
    kinds: {
      'virtio-blk split': [[SPLIT, 'virtio.avail-index']],
      'virtio-blk packed': NO_INDEX,
      'virtio-scsi split': [[SCSI_RINGS, 'line 3: an index that ran away']],
      'virtio-scsi packed': NO_INDEX,
      ide: NO_RING,
      ahci: [panel('ahci', 'ahci-all-slots')],
    },
  },
  {
    number: 4,
    what: 'indirect tables: length, nesting, NEXT, not negotiated',
    kinds: {
      ...virtio(
        [
          [CHAINS, 'line 4: a table of one and a half'],
          [BLK_RINGS, 'line 4: INDIRECT without having negotiated it'],
        ],
        [
          [CHAINS, 'line 4: a table of one and a half'],
          [SCSI_RINGS, 'line 4: INDIRECT without having negotiated it'],
        ],
      ),
      ide: 'its tables do not nest',
      ahci: 'its tables do not nest',
    },
  },
  {
    number: 5,
    what: 'a readable buffer after a writable one; a buffer of no bytes (CVE-2016-6490)',
    kinds: {
      ...chain('line 5: an empty buffer'),
      ide: [panel('ide', 'ide-prd-zero')],
      ahci: [panel('ahci', 'ahci-prdt-none')],
    },
  },
  {
    number: 6,
    what: 'addresses that wrap, leave memory, or are registers (CVE-2016-7422, CVE-2021-3750, CVE-2024-3446)',
    kinds: {
      ...chain('line 6: an address that wraps 64 bits'),
      ide: [
        [IDE, 'addresses outside memory'],
        panel('ide', 'ide-prd-wrap'),
        panel('ide', 'ide-prd-registers'),
        panel('ide', 'ide-prd-over-the-end'),
      ],
      ahci: [
        [IDE, 'a FIS area or a list outside memory starts no engine'],
        panel('ahci', 'ahci-prd-wrap'),
        panel('ahci', 'ahci-prd-registers'),
        panel('ahci', 'ahci-table-edge'),
      ],
    },
  },
  {
    number: 7,
    what: 'more than 2^32 bytes in one chain',
    kinds: {
      ...virtio(
        [[BLK_RINGS, 'line 7: more than 2^32 bytes in one chain']],
        [[SCSI_RINGS, 'line 7: more than 2^32 bytes in one chain']],
      ),
      ide: 'its table has 4 KiB: 32 MiB at most',
      ahci: [panel('ahci', 'ahci-prd-long')],
    },
  },
  {
    number: 8,
    what: 'more requests in flight than the queue holds (CVE-2016-5403)',
    kinds: {
      ...virtio(
        [[BLK_RINGS, 'line 8: the same chains again and again']],
        [[SCSI_RINGS, 'line 8: the same command again and again']],
      ),
      ide: [panel('ide', 'ide-busy-command')],
      ahci: [panel('ahci', 'ncq-tag-twice')],
    },
  },
  {
    number: 9,
    what: 'descriptors and headers that change after they were checked',
    kinds: {
      ...virtio(
        [[BLK_RINGS, 'line 9: what the driver changes']],
        [[SCSI_RINGS, 'line 9: a CDB and descriptors that change']],
      ),
      ide: [panel('ide', 'ide-table-changed')],
      ahci: [panel('ahci', 'ahci-changed-fis')],
    },
  },
  {
    number: 10,
    what: 'used.len is exactly what was written (CVE-2024-8612)',
    kinds: {
      ...virtio(
        [[BLK_RINGS, 'line 10: the length is exactly what was written']],
        [[SCSI_RINGS, 'line 10: the length is exactly what was written']],
      ),
      ide: [panel('ide', 'ide-prd-short')],
      ahci: [panel('ahci', 'ahci-prdt-short')],
    },
  },
  {
    number: 11,
    what: 'completions after a reset are dropped (CVE-2022-26354)',
    kinds: {
      ...virtio(
        [[BLK_RINGS, 'line 11: a completion after a reset']],
        [[SCSI_RINGS, 'line 11: a completion after a reset']],
      ),
      ide: [[IDE, 'PIO: what comes late changes neither status nor buffer']],
      ahci: [[IDE, 'NCQ: a port that was reset hears no more of its tags']],
    },
  },
  {
    number: 12,
    what: 'geometry of queues: size 0, no power of two, changed while ready (CVE-2017-17381)',
    kinds: {
      ...virtio(
        [
          [BLK_RINGS, 'line 12: sizes and addresses that no queue can have'],
          [REGISTERS, "'%s over %s, %s rings'"],
        ],
        [
          [SCSI_RINGS, 'line 12: a size changed while the queue is in use'],
          [REGISTERS, "'%s over %s, %s rings'"],
        ],
      ),
      ide: [panel('ide', 'ide-no-geometry')],
      ahci: [panel('ahci', 'ahci-list-outside')],
    },
  },
  {
    number: 13,
    what: 'work without an end (CVE-2026-16457): every turn is bounded',
    kinds: {
      ...virtio(
        [[BLK_RINGS, 'line 13: a ring that always has more']],
        [[SCSI_RINGS, 'line 13: a %s queue that always has more']],
      ),
      ide: [[IDE_FUZZ, 'IDE, seed']],
      ahci: [[IDE_FUZZ, 'AHCI, seed']],
    },
  },
  {
    number: 14,
    what: 'arithmetic of sectors, requests past the end, lists of discard, write zeroes and secure erase, segments that are too long',
    kinds: {
      ...virtio(
        [
          [BLK, 'it.each(past)('],
          panel('blk', 'sector-overflow'),
          panel('blk', 'discard-length'),
          [ERASE, 'refuses %s, and writes nothing'],
          [ERASE, 'a segment that is cut short lays the device down'],
          [SIZE_MAX, 'a single long one, which could take the short way'],
        ],
        [
          [DISK, 'never lets 64-bit addresses wrap'],
          [SCSI, 'UNMAP lists: as many descriptors as page B0h promises'],
        ],
      ),
      ide: [panel('ide', 'ide-past-capacity'), panel('ide', 'ide-trim-past')],
      ahci: [panel('ahci', 'ahci-past-capacity'), panel('ahci', 'ncq-past-capacity')],
    },
  },
  {
    number: 15,
    what: 'vectors out of range, the length of the configuration window, unknown requests',
    kinds: {
      ...virtio(
        [
          ['engine/machine/pci/function.test.ts', 'line 15: vectors and offsets past the table do nothing'],
          panel('registers', 'window-length'),
          [BLK, 'answers UNSUPP to type'],
        ],
        [
          panel('registers', 'no-such-vector'),
          panel('scsi', 'scsi-opcode'),
          panel('scsi-queues', 'tmf-unknown'),
        ],
      ),
      ide: [panel('ide', 'ide-unknown-command')],
      ahci: [panel('ahci', 'ahci-unknown-command'), panel('ahci', 'ncq-unknown')],
    },
  },
  {
    number: 16,
    what: 'recordings that are loaded (CVE-2013-4148 and its kin): the same for every device',
    kinds: (() => {
      const proofs: readonly Proof[] = [
        ['engine/trace/ring.test.ts', 'hostile inputs, devices, line 16: %s for %j'],
        ['engine/trace/ring.test.ts', 'line 16: what is changed anywhere is refused'],
      ];
      return { ...virtio(proofs, proofs), ide: proofs, ahci: proofs };
    })(),
  },
  {
    number: 17,
    what:
      'IDE and ATAPI: buffer index (CVE-2020-29443), a reset that loses the sector (CVE-2023-5088), DMA sizes (CVE-2019-20175), ' +
      'commands for another kind of drive (CVE-2015-6855)',
    kinds: {
      'virtio-blk split': 'not ATA',
      'virtio-blk packed': 'not ATA',
      'virtio-scsi split': 'not ATA',
      'virtio-scsi packed': 'not ATA',
      ide: [
        [IDE, 'the data port (CVE-2020-29443)'],
        [IDE, 'a reset in the middle of a transfer (CVE-2023-5088)'],
        [IDE, 'DMA sizes (CVE-2019-20175)'],
        [IDE, 'commands for another kind of drive (CVE-2015-6855)'],
        panel('atapi', 'atapi-limit-zero'),
        [IDE_FUZZ, 'ATAPI, seed'],
      ],
      ahci: [
        [IDE, 'AHCI, %s: the command ends, queued or not'],
        panel('ahci', 'ahci-reset-write'),
        panel('ahci', 'ahci-packet'),
      ],
    },
  },
  {
    number: 18,
    what: 'SCSI: block size (CVE-2023-42467), GET LBA STATUS (CVE-2020-1711), CDB length (CVE-2016-5126), WRITE SAME, UNMAP lists',
    kinds: {
      'virtio-blk split': 'no SCSI',
      'virtio-blk packed': 'no SCSI',
      ...(() => {
        const proofs: readonly Proof[] = [
          [SCSI, 'a block length below 512 is not taken over (CVE-2023-42467)'],
          [SCSI, 'GET LBA STATUS answers no more than it was given room for (CVE-2020-1711)'],
          [SCSI, 'a CDB that is longer than what was sent is no command (CVE-2016-5126)'],
          [SCSI, 'WRITE SAME over ranges that end anywhere'],
          [DISK, 'every CDB of random bytes is answered'],
          panel('scsi', 'scsi-unmap-huge'),
        ];
        return { 'virtio-scsi split': proofs, 'virtio-scsi packed': proofs };
      })(),
      ide: [panel('atapi', 'atapi-allocation'), panel('atapi', 'atapi-count-huge')],
      ahci: 'its CD-ROM is the one of IDE',
    },
  },
];

/** Fuzzers that CI runs, with what makes them longer. */
export const FUZZERS: readonly { kinds: readonly Kind[]; proof: Proof; longer: string }[] = [
  {
    kinds: ['virtio-blk split', 'virtio-blk packed'],
    proof: [BLK_RINGS, 'any bytes in ring, tables, events and headers'],
    longer: 'PLATTER_RING_FUZZ',
  },
  {
    kinds: ['virtio-scsi split', 'virtio-scsi packed'],
    proof: [SCSI_RINGS, 'any bytes in rings, tables, headers and answers'],
    longer: 'PLATTER_RING_FUZZ',
  },
  {
    kinds: ['virtio-scsi split', 'virtio-scsi packed'],
    proof: [SCSI, 'random chains over %s rings'],
    longer: 'PLATTER_SCSI_FUZZ',
  },
  {
    kinds: ['virtio-blk split', 'virtio-blk packed', 'virtio-scsi split', 'virtio-scsi packed'],
    proof: [REGISTERS, "'%s over %s, %s rings'"],
    longer: 'PLATTER_REGISTER_FUZZ',
  },
  { kinds: ['ide'], proof: [IDE_FUZZ, 'IDE, seed'], longer: 'PLATTER_IDE_FUZZ' },
  { kinds: ['ide'], proof: [IDE_FUZZ, 'ATAPI, seed'], longer: 'PLATTER_IDE_FUZZ' },
  { kinds: ['ahci'], proof: [IDE_FUZZ, 'AHCI, seed'], longer: 'PLATTER_IDE_FUZZ' },
];
