/** The entry of an image's utility process: one image, opened read-only, asked about by main. */
import type { MessagePortMain } from 'electron';
import { checkImage } from '#engine/block/check.ts';
import { openImage, type OpenedImage } from '#engine/block/graph.ts';
import { mapPage } from '#engine/block/map.ts';
import { findOwners, type Owners } from '#engine/block/structure/owners.ts';
import { searchStep } from '#engine/block/structure/search.ts';
import { structureChildren, structureFields, structureNode } from '#engine/block/structure/structure.ts';
import { PlatterError } from '#engine/errors.ts';
import type { ImageCalls } from '../processes/protocol.ts';
import { readImage } from './read.ts';
import { Server } from './serve.ts';

const server = new Server<ImageCalls, MessagePortMain>(process.parentPort);
let image: OpenedImage | undefined;
/** Found once, when somebody asks first. */
let owners: Promise<Owners> | undefined;

function opened(): OpenedImage {
  if (image === undefined) throw new PlatterError('image.not-open', 'The image is not open yet.');
  return image;
}

function allOwners(): Promise<Owners> {
  owners ??= findOwners(opened().node);
  return owners;
}

server.start({
  open: async ([{ handle, path }]) => {
    image = await openImage(path, { gate: server.gateOf(handle), backing: 'tolerate' });
    return image.info;
  },
  map: ([start, limit]) => mapPage(opened().node, { start, limit }),
  read: ([space, offset, length]) => readImage(opened().node, space, offset, length),
  check: () => checkImage(opened().node),
  structure: ([path, start, limit]) => structureChildren(opened().node, path, start, limit),
  structureNode: ([path]) => structureNode(opened().node, path),
  structureFields: ([path, start, limit]) => structureFields(opened().node, path, start, limit),
  owners: async ([from, limit]) => (await allOwners()).page(from, limit),
  ownerShares: async ([from, length, cells]) => (await allOwners()).shares(from, length, cells),
  search: ([space, pattern, from, backward]) =>
    searchStep(opened().node, { space, pattern: Buffer.from(pattern, 'hex'), from, backward }),
  close: async () => {
    await image?.node.close();
    return null;
  },
});
