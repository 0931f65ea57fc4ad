/** An empty VHD, dynamic or fixed, laid out as `qemu-img create -f vpc` does. */
import { run, wait, type Maybe, type Steps } from '../../../maybe.ts';
import type { CreateOptions } from '../../format.ts';
import type { Storage } from '../../storage/storage.ts';
import { alignUp } from '../shared/check-fields.ts';
import { NIL_UUID } from '../shared/layout.ts';
import { badOption, choice, diskSize, flag, knownOptions } from '../shared/options.ts';
import { LARGEST, MAX_GEOMETRY, roundedGeometry, sectorsOf, type Geometry } from './geometry.ts';
import {
  encodeDynamic,
  encodeFooter,
  VHD_COOKIE,
  VHD_DYNAMIC,
  VHD_DYNAMIC_COOKIE,
  VHD_FIXED,
  VHD_MAX_SECTORS,
  vhdFooter,
} from './header.ts';

const BLOCK_SIZE = 2 << 20;
const TABLE_OFFSET = 1536;
const NONE = 0xffffffffffffffffn;
/** 2000-01-01T00:00:00Z in seconds of Unix time: where a VHD's clock starts. */
const EPOCH = 946684800;

interface Plan {
  geometry: Geometry;
  /** Bytes. */
  size: number;
  fixed: boolean;
  forced: boolean;
}

/** Options: `size`, `subformat` (dynamic or fixed), `force_size` (the size to the byte, not rounded up to the geometry). */
export function createVpc(storage: Storage, options: CreateOptions): Maybe<void> {
  knownOptions('vpc', options, ['subformat', 'force_size']);
  return run(steps(storage, plan(options)));
}

function plan(options: CreateOptions): Plan {
  const fixed = choice(options, 'subformat', ['dynamic', 'fixed']) === 'fixed';
  const forced = flag(options, 'force_size', false);
  const wanted = diskSize(options, Number.MAX_SAFE_INTEGER) / 512;
  const geometry = forced ? LARGEST : roundedGeometry(wanted);
  const sectors = sectorsOf(geometry) === MAX_GEOMETRY ? wanted : sectorsOf(geometry);
  if (sectors > VHD_MAX_SECTORS) throw badOption('size', options.size, 'at most 2040 GiB');
  return { geometry, size: sectors * 512, fixed, forced };
}

function* steps(storage: Storage, given: Plan): Steps<void> {
  const footer = encodeFooter({
    creator: VHD_COOKIE,
    features: 2,
    version: 0x00010000,
    data_offset: given.fixed ? NONE : BigInt(vhdFooter.size),
    timestamp: Math.floor(Date.now() / 1000) - EPOCH,
    // Readers decide by this name whether geometry or size counts: it must be one that they know.
    creator_app: given.forced ? 'qem2' : 'qemu',
    major: 5,
    minor: 3,
    creator_os: 'Wi2k',
    orig_size: given.size,
    current_size: given.size,
    cyls: given.geometry.cyls,
    heads: given.geometry.heads,
    secs_per_cyl: given.geometry.secs,
    type: given.fixed ? VHD_FIXED : VHD_DYNAMIC,
    checksum: 0,
    uuid: globalThis.crypto.randomUUID(),
    in_saved_state: 0,
    reserved: new Uint8Array(427),
  });
  if (given.fixed) {
    yield* wait(storage.truncate(given.size));
    yield* wait(storage.write(given.size, footer));
    return;
  }
  const entries = Math.ceil(given.size / BLOCK_SIZE);
  const tableBytes = alignUp(entries * 4, 512);
  yield* wait(storage.write(TABLE_OFFSET, new Uint8Array(tableBytes).fill(0xff)));
  yield* wait(storage.write(TABLE_OFFSET + tableBytes, footer));
  yield* wait(storage.write(vhdFooter.size, dynamicHeader(entries)));
  yield* wait(storage.write(0, footer));
}

function dynamicHeader(entries: number): Uint8Array {
  const header = {
    magic: VHD_DYNAMIC_COOKIE,
    // The specification says 32 ones; Microsoft's own tools want 64.
    data_offset: NONE,
    table_offset: TABLE_OFFSET,
    version: 0x00010000,
    max_table_entries: entries,
    block_size: BLOCK_SIZE,
    checksum: 0,
    parent_uuid: NIL_UUID,
    parent_timestamp: 0,
    reserved: 0,
    parent_name: new Uint8Array(512),
    parent_locator: new Uint8Array(192),
    reserved2: new Uint8Array(256),
  };
  return encodeDynamic(header);
}
