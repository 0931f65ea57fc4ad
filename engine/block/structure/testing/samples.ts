/** For tests: one image of each format with something in all its tables, written by qemu-img and qemu-io. */
import { qemuImg, qemuIo, type Scratch } from '../../formats/shared/testing/oracle.ts';
import { patiently } from '../../../../tests/support/patiently.ts';
import { rare } from './rare.ts';

export interface Sample {
  name: string;
  format: string;
  path: string;
  /** Encrypted, and opened without its passphrase: QEMU does not map it. */
  locked?: boolean;
}

const WRITES = ['write -P 1 0 192k', 'write -P 2 3M 64k', 'write -P 3 9M 1M', 'write -z 5M 64k'];

const PLAIN: readonly [name: string, format: string, options?: string][] = [
  ['qcow2 v2', 'qcow2', 'compat=0.10'],
  ['qcow2 v3', 'qcow2'],
  ['qcow2 with small clusters', 'qcow2', 'cluster_size=512'],
  ['qcow2 with 1-bit refcounts', 'qcow2', 'cluster_size=4096,refcount_bits=1'],
  ['qcow2 with 64-bit refcounts', 'qcow2', 'cluster_size=4096,refcount_bits=64'],
  ['qcow2 with extended L2', 'qcow2', 'extended_l2=on'],
  ['vmdk', 'vmdk', 'subformat=monolithicSparse'],
  ['vhdx', 'vhdx', 'block_size=1M'],
  ['vpc', 'vpc', 'subformat=dynamic'],
  ['fixed vpc', 'vpc', 'subformat=fixed'],
  ['vdi', 'vdi'],
  ['qed', 'qed', 'cluster_size=65536'],
  ['parallels', 'parallels'],
  ['qcow', 'qcow'],
];

export function samples(scratch: Scratch): Sample[] {
  return [
    ...PLAIN.map(([name, format, options]) => plain(scratch, name, format, options)),
    rich(scratch),
    ...streams(scratch),
    ...encrypted(scratch),
    ...rare(scratch),
  ];
}

function plain(scratch: Scratch, name: string, format: string, options?: string): Sample {
  const path = scratch.fresh(`sample.${format}`);
  qemuImg('create', '-q', '-f', format, ...(options === undefined ? [] : ['-o', options]), path, '20M');
  qemuIo(path, format, ...(name === 'fixed vpc' ? WRITES.slice(1) : WRITES));
  return { name, format, path };
}

/** Backing image, two snapshots, a bitmap with bits in it, compressed clusters. */
export function rich(scratch: Scratch): Sample {
  const base = scratch.fresh('base.qcow2');
  const path = scratch.fresh('rich.qcow2');
  qemuImg('create', '-q', '-f', 'qcow2', base, '20M');
  qemuImg('create', '-q', '-f', 'qcow2', '-b', base, '-F', 'qcow2', path, '20M');
  qemuImg('bitmap', '--add', '-g', '64k', path, 'seen');
  qemuIo(path, 'qcow2', ...WRITES, 'write -c -P 9 12M 128k');
  qemuImg('snapshot', '-c', 'before', path);
  qemuIo(path, 'qcow2', 'write -P 4 0 64k', 'write -P 5 15M 128k');
  qemuImg('snapshot', '-c', 'after', path);
  qemuIo(path, 'qcow2', 'write -P 6 3M 64k');
  return { name: 'qcow2 with everything', format: 'qcow2', path };
}

function encrypted(scratch: Scratch): Sample[] {
  const secret = ['--object', 'secret,id=s,data=open'];
  const luks = scratch.fresh('sample.luks');
  const options = 'key-secret=s,iter-time=10';
  patiently(() => qemuImg('create', '-q', ...secret, '-f', 'luks', '-o', options, luks, '1M'));
  const qcow2 = scratch.fresh('luks.qcow2');
  const inside = options.replaceAll(/(^|,)/g, '$1encrypt.');
  patiently(() =>
    qemuImg('create', '-q', ...secret, '-f', 'qcow2', '-o', `encrypt.format=luks,${inside}`, qcow2, '1M'),
  );
  return [
    { name: 'luks', format: 'luks', path: luks, locked: true },
    { name: 'encrypted qcow2', format: 'qcow2', path: qcow2, locked: true },
  ];
}

function streams(scratch: Scratch): Sample[] {
  const raw = scratch.fresh('source.raw');
  qemuImg('create', '-q', '-f', 'raw', raw, '20M');
  qemuIo(raw, 'raw', ...WRITES);
  const stream = scratch.fresh('stream.vmdk');
  qemuImg('convert', '-f', 'raw', '-O', 'vmdk', '-o', 'subformat=streamOptimized', raw, stream);
  const packed = scratch.fresh('packed.qcow2');
  qemuImg('convert', '-f', 'raw', '-O', 'qcow2', '-c', raw, packed);
  return [
    { name: 'vmdk stream', format: 'vmdk', path: stream },
    { name: 'compressed qcow2', format: 'qcow2', path: packed },
  ];
}
