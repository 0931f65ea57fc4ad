/**
 * What a hostile image may try, line by line, and the tests that prove it. image-lines.test.ts keeps every reference true. Beside them the
 * fuzzers of tests/hostile/images damage every header and table that an image has.
 */
import type { Proof } from './proof.ts';

export interface ImageLine {
  number: number;
  /** What is tried. */
  what: string;
  /** The tests, or why it cannot be tried here. */
  proofs: readonly Proof[] | string;
}

const CONSENT = 'engine/block/consent.test.ts';
const GRAPH = 'engine/block/graph.test.ts';
const QCOW2 = 'engine/block/formats/qcow2/hostile.test.ts';
const PARTITIONS = 'engine/inspect/partitions/partitions.test.ts';
const format = (name: string, test: string, file = name): Proof => [
  `engine/block/formats/${name}/${file}.test.ts`,
  test,
];

export const IMAGE_LINES: readonly ImageLine[] = [
  {
    number: 1,
    what: 'a reference inside an image is followed without consent',
    proofs: [
      [CONSENT, 'is not touched without consent, and the refusal tells nothing about it'],
      [CONSENT, 'convert copies no file of the host out (CVE-2015-5163)'],
      [GRAPH, 'guards external data files too'],
      format('vmdk', 'never touches an extent without consent (CVE-2015-5163)'),
      ['tests/e2e/bad-images.e2e.ts', 'the person is asked before a backing file is opened'],
    ],
  },
  {
    number: 2,
    what: 'a raw image that was only guessed becomes another format',
    proofs: [[GRAPH, 'that was only guessed never becomes another format (CVE-2024-40767)']],
  },
  {
    number: 3,
    what: 'a name in an image is json: or another protocol',
    proofs: [
      [CONSENT, "json:{'driver':'file','filename':'there'}"],
      [CONSENT, 'nbd://localhost/x'],
    ],
  },
  {
    number: 4,
    what: 'a refusal tells whether a file exists; links and .. lead elsewhere',
    proofs: [
      [GRAPH, 'gives no answer from which one could tell whether a file exists'],
      [GRAPH, 'sees symbolic links and .. resolved'],
      [CONSENT, 'is judged by where it leads'],
      [CONSENT, 'its folder'],
    ],
  },
  {
    number: 5,
    what: 'header fields that something is divided by',
    proofs: [
      format('parallels', 'survives hostile headers, tables and extensions (CVE-2014-0142)'),
      format('bochs', 'survives hostile headers, catalogs and bitmaps (CVE-2014-0142)'),
      format('dmg', 'survives hostile trailers and lists (CVE-2014-0142)'),
    ],
  },
  {
    number: 6,
    what: 'sizes of tables that overflow',
    proofs: [
      [QCOW2, "describe('header fields'"],
      [QCOW2, 'a snapshot table with a huge record, or past the end of the file'],
      format('qcow', 'survives hostile headers and tables (CVE-2014-0222, CVE-2014-0223)'),
      format('cloop', 'survives hostile headers and offsets (CVE-2014-0143)'),
    ],
  },
  {
    number: 7,
    what: 'block and sector sizes, logs and tables of VHDX, VPC, VDI, QED, qcow and VMDK',
    proofs: [
      format('vhdx', 'survives any damage to the log (CVE-2014-0148)'),
      format('vhdx', 'survives hostile headers, regions and metadata'),
      format('vpc', 'refuses block sizes that cannot be (CVE-2014-0144)'),
      format('vpc', 'survives hostile headers and tables'),
      format('vdi', 'survives hostile headers and maps'),
      format('qed', 'refuses unknown features by name and survives hostile headers and tables'),
      format('qcow', 'survives hostile headers and tables'),
      format('vmdk', 'survives hostile headers, directories, tables and streams'),
    ],
  },
  {
    number: 8,
    what: 'compressed data past the end of the file, or without end',
    proofs: [
      [QCOW2, "describe('compressed clusters'"],
      format('vmdk', 'refuses a grain that inflates without end'),
      format('vmdk', 'finds grains past the end'),
      format('cloop', 'refuses a block that inflates to more than a block'),
      format('dmg', 'refuses bombs, and packings that it does not read, by name'),
    ],
  },
  {
    number: 9,
    what: 'lengths of header extensions and of the backing name',
    proofs: [
      [QCOW2, 'an extension that claims more than there is'],
      [QCOW2, "'backing_file_size',"],
    ],
  },
  {
    number: 10,
    what: 'metadata that overlaps; the corrupt bit; unknown features',
    proofs: [
      [QCOW2, 'nothing is written, the image is marked corrupt'],
      [QCOW2, 'the corrupt bit lets nobody write'],
      [QCOW2, 'that are not known are refused by the name that the image gives them'],
      format('qed', 'refuses unknown features by name'),
    ],
  },
  {
    number: 11,
    what: 'a tiny file that claims petabytes; an open that never ends',
    proofs: [
      [QCOW2, 'a tiny file that claims petabytes opens in little memory'],
      ['tests/e2e/processes.e2e.ts', 'a process that hangs is an error on its image only'],
      ['tests/hostile/images/qcow2-fuzz.test.ts', 'never hangs, never crashes'],
      ['tests/hostile/images/formats-fuzz.test.ts', 'never hangs, never crashes'],
    ],
  },
  {
    number: 12,
    what: 'chains that are deep or bite their tail; LUKS headers; GPT and MBR',
    proofs: [
      [GRAPH, 'that bite their own tail are refused'],
      [GRAPH, 'are bounded in depth'],
      format('luks', 'survives hostile headers'),
      [PARTITIONS, 'refuses %s (byte %i) of %i'],
      [PARTITIONS, 'does not follow a chain that comes back'],
      [PARTITIONS, 'follows a chain of bounded length'],
      [PARTITIONS, 'ends and does not throw, whatever the tables hold'],
    ],
  },
  { number: 13, what: 'clients and servers of NBD', proofs: 'Platter speaks no NBD yet' },
  { number: 14, what: 'file systems', proofs: 'Platter reads no file systems yet' },
];
