/** The entry of an image's utility process: one image, opened read-only, asked about by main. */
import type { MessagePortMain } from 'electron';
import { checkImage } from '#engine/block/check.ts';
import { openImage, type OpenedImage } from '#engine/block/graph.ts';
import { mapPage } from '#engine/block/map.ts';
import { PlatterError } from '#engine/errors.ts';
import type { ImageCalls } from '../processes/protocol.ts';
import { readImage } from './read.ts';
import { Server } from './serve.ts';

const server = new Server<ImageCalls, MessagePortMain>(process.parentPort);
let image: OpenedImage | undefined;

function opened(): OpenedImage {
  if (image === undefined) throw new PlatterError('image.not-open', 'The image is not open yet.');
  return image;
}

server.start({
  open: async ([{ handle, path }]) => {
    image = await openImage(path, { gate: server.gateOf(handle), backing: 'tolerate' });
    return image.info;
  },
  map: ([start, limit]) => mapPage(opened().node, { start, limit }),
  read: ([space, offset, length]) => readImage(opened().node, space, offset, length),
  check: () => checkImage(opened().node),
  close: async () => {
    await image?.node.close();
    return null;
  },
});
