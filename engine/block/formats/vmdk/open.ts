/** From the file to the driver: which kind of VMDK it is, its extents and its parent, both through the gate. */
import { PlatterError } from '../../../errors.ts';
import { wait, type Steps } from '../../../maybe.ts';
import { FormatNode } from '../../access.ts';
import type { OpenContext, OpenedBacking } from '../../format.ts';
import type { BlockNode } from '../../node.ts';
import type { Storage } from '../../storage/storage.ts';
import { readExactly } from '../shared/storage-window.ts';
import { WindowNode } from '../shared/window.ts';
import {
  MAX_DESCRIPTOR,
  NO_PARENT,
  parseDescriptor,
  type Descriptor,
  type ExtentLine,
} from './descriptor.ts';
import { VmdkDriver, WriteSession, type PlacedExtent } from './driver.ts';
import { FlatExtent } from './flat.ts';
import { COWD_MAGIC, readSparseHeader, VMDK4_MAGIC, type SparseLayout } from './header.ts';
import { SparseExtent } from './sparse.ts';
import { StreamExtent } from './stream.ts';
import { ZeroExtent } from './zero.ts';

/** A descriptor inside a sparse extent is 10 KiB; a hostile header may claim anything. */
const MAX_EMBEDDED = 65536;

export function* openVmdk(storage: Storage, context: OpenContext): Steps<VmdkDriver> {
  const size = yield* wait(storage.size());
  const head = new Uint8Array(Math.min(4, size));
  yield* wait(storage.read(0, head));
  const magic = String.fromCharCode(...head);
  if (magic === VMDK4_MAGIC || magic === COWD_MAGIC) return yield* openSelfContained(storage, context, magic);
  const length = Math.min(size, MAX_DESCRIPTOR);
  const text = yield* readExactly(storage, 0, length, 'vmdk', 'descriptor');
  const descriptor = parseDescriptor(text, storage.name);
  return yield* openDescribed(storage, descriptor, { offset: 0, length }, context);
}

function* openSelfContained(storage: Storage, context: OpenContext, magic: string): Steps<VmdkDriver> {
  const layout = yield* readSparseHeader(storage, context.readOnly);
  const place = {
    offset: layout.descriptor.offset,
    length: Math.min(layout.descriptor.length, MAX_EMBEDDED),
  };
  const descriptor = yield* embedded(storage, place, magic);
  if (layout.capacity === 0 && place.length > 0)
    return yield* openDescribed(storage, descriptor, place, context);
  const shown = layout.compressed ? { ...descriptor, createType: 'streamOptimized' } : descriptor;
  const session = new WriteSession(storage, shown, place);
  const parent = yield* openParent(shown, context);
  const readOnly = isReadOnly(layout, context);
  const sectors = layout.capacity / 512;
  const Kind = layout.compressed ? StreamExtent : SparseExtent;
  const extent = new Kind(storage, layout, sectors, readOnly, session, parent?.node);
  const extents: PlacedExtent[] = [{ start: 0, extent, type: '' }];
  return new VmdkDriver({ ...parts(storage, shown, place, session, parent), extents }, readOnly);
}

/** An extent of a split image that is opened by itself has no descriptor: it is its own. */
function* embedded(
  storage: Storage,
  place: { offset: number; length: number },
  magic: string,
): Steps<Descriptor> {
  const alone = {
    text: '',
    createType: magic === COWD_MAGIC ? 'vmfsSparse' : 'monolithicSparse',
    cid: NO_PARENT,
    parentCid: NO_PARENT,
    extents: [],
  };
  if (place.length === 0 || place.offset === 0) return alone;
  const bytes = yield* readExactly(storage, place.offset, place.length, 'vmdk', 'descriptor');
  return bytes[0] === 0 ? alone : parseDescriptor(bytes, storage.name);
}

function* openDescribed(
  storage: Storage,
  descriptor: Descriptor,
  place: { offset: number; length: number },
  context: OpenContext,
): Steps<VmdkDriver> {
  const session = new WriteSession(storage, descriptor, place);
  const extents: PlacedExtent[] = [];
  let parent: OpenedBacking | undefined;
  try {
    parent = yield* openParent(descriptor, context);
    let start = 0;
    let readOnly = context.readOnly;
    for (const line of descriptor.extents) {
      const opened = yield* openExtent(line, start, parent?.node, session, context);
      extents.push({ start, extent: opened.extent, type: line.type });
      readOnly ||= opened.readOnly;
      start += line.sectors * 512;
      requireSane(storage.name, start);
    }
    if (extents.length === 0) throw noExtents(storage.name);
    return new VmdkDriver({ ...parts(storage, descriptor, place, session, parent), extents }, readOnly);
  } catch (error) {
    for (const { extent } of extents) yield* wait(extent.close());
    yield* wait(parent?.node.close());
    throw error;
  }
}

function parts(
  storage: Storage,
  descriptor: Descriptor,
  place: { offset: number; length: number },
  session: WriteSession,
  parent: OpenedBacking | undefined,
) {
  return { storage, descriptor, place, session, backing: parent?.node, backingError: parent?.error };
}

function* openExtent(
  line: ExtentLine,
  start: number,
  parent: BlockNode | undefined,
  session: WriteSession,
  context: OpenContext,
): Steps<{ extent: PlacedExtent['extent']; readOnly: boolean }> {
  if (line.type === 'ZERO') return { extent: new ZeroExtent(line.sectors), readOnly: true };
  const file = yield* wait(context.openStorage(line.file, 'extent'));
  try {
    if (line.type === 'FLAT' || line.type === 'VMFS') {
      const extent = new FlatExtent(file, line.offset, line.sectors, context.readOnly, session);
      return { extent, readOnly: false };
    }
    const layout = yield* readSparseHeader(file, context.readOnly);
    const readOnly = isReadOnly(layout, context);
    const backing = parent === undefined || start === 0 ? parent : new WindowNode(parent, start);
    const Kind = layout.compressed ? StreamExtent : SparseExtent;
    return { extent: new Kind(file, layout, line.sectors, readOnly, session, backing), readOnly };
  } catch (error) {
    yield* wait(file.close());
    throw error;
  }
}

/** ESX's own sparse kinds are read only here. */
function isReadOnly(layout: SparseLayout, context: OpenContext): boolean {
  return context.readOnly || layout.kind !== 'vmdk4';
}

function* openParent(descriptor: Descriptor, context: OpenContext): Steps<OpenedBacking | undefined> {
  const hint = descriptor.parentHint;
  if (hint === undefined || hint === '' || context.backing === 'none') return undefined;
  const opened = yield* wait(context.openBacking(hint, 'vmdk', 'parent'));
  const format = opened.node instanceof FormatNode ? opened.node.format : undefined;
  if (!(format instanceof VmdkDriver) || format.cid === descriptor.parentCid) return opened;
  const found = format.cid.toString(16);
  yield* wait(opened.node.close());
  throw new PlatterError(
    'vmdk.parent-mismatch',
    `The parent of "${context.image}" has the CID ${found}, expected ${descriptor.parentCid.toString(16)}`,
    {
      image: context.image,
      field: 'parentCID',
      value: found,
      expected: descriptor.parentCid.toString(16),
      hint: 'The parent was written after this image was made of it.',
    },
  );
}

function requireSane(image: string, end: number): void {
  if (Number.isSafeInteger(end)) return;
  throw new PlatterError('vmdk.bad-extent', `The extents of "${image}" are larger than 2^53 bytes together`, {
    image,
    field: 'extent',
  });
}

function noExtents(image: string): PlatterError {
  return new PlatterError('vmdk.bad-extent', `The descriptor "${image}" lists no extent`, {
    image,
    field: 'extent',
    expected: 'RW <sectors> <type> "<file>"',
  });
}
