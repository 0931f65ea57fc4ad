/** The entry of an image's utility process: one image, opened read-only, asked about by main. */
import type { MessagePortMain } from 'electron';
import { checkImage } from '#engine/block/check.ts';
import { openImage, type OpenedImage } from '#engine/block/graph.ts';
import { mapPage } from '#engine/block/map.ts';
import { findOwners, type Owners } from '#engine/block/structure/owners.ts';
import { searchStep } from '#engine/block/structure/search.ts';
import { structureChildren, structureFields, structureNode } from '#engine/block/structure/structure.ts';
import { PlatterError } from '#engine/errors.ts';
import { readPartitions } from '#engine/inspect/partitions/partitions.ts';
import type { Passphrases } from '../images/keyring.ts';
import type { ImageCalls, ImageFile } from '../processes/protocol.ts';
import { readImage } from './read.ts';
import { Server } from './serve.ts';
import { isWrong, refuseWrong, secretFrom } from './unlock.ts';

const server = new Server<ImageCalls, MessagePortMain>(process.parentPort);
let file: ImageFile | undefined;
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

/** Throws `luks.wrong-passphrase`, and then leaves nothing open. */
async function openWith({ handle, path }: ImageFile, passphrases: Passphrases): Promise<OpenedImage> {
  const secret = secretFrom(passphrases);
  const next = await openImage(path, { gate: server.gateOf(handle), backing: 'tolerate', secret });
  try {
    refuseWrong(next.info);
    return next;
  } catch (error) {
    await next.node.close();
    throw error;
  }
}

server.start({
  open: async ([from, passphrases]) => {
    file = from;
    try {
      image = await openWith(from, passphrases);
    } catch (error) {
      if (!isWrong(error)) throw error;
      // Its passphrase was changed meanwhile: it opens locked, and the person is asked again.
      image = await openWith(from, {});
    }
    return image.info;
  },
  unlock: async ([passphrases]) => {
    const before = opened();
    image = await openWith(file ?? { handle: '', path: '' }, passphrases);
    owners = undefined;
    await before.node.close();
    return image.info;
  },
  map: ([start, limit]) => mapPage(opened().node, { start, limit }),
  read: ([space, offset, length]) => readImage(opened().node, space, offset, length),
  partitions: async () => (await readPartitions(opened().node)) ?? null,
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
