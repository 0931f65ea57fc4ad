/** Jobs that only read. */
import { checksumImage } from '#engine/block/jobs/checksum.ts';
import { compareImages } from '#engine/block/jobs/compare.ts';
import { measureImage } from '#engine/block/jobs/measure.ts';
import { withImage, type Runner } from './tools.ts';

export const runCompare: Runner<'compare'> = (request, tools) =>
  withImage(tools, request.image, {}, (one) =>
    withImage(tools, request.other, {}, async (two) => {
      const { strict } = request;
      const { signal, onProgress } = tools;
      return { kind: 'compare', ...(await compareImages(one, two, { strict, signal, onProgress })) };
    }),
  );

export const runChecksum: Runner<'checksum'> = (request, tools) =>
  withImage(tools, request.image, {}, async (node) => {
    const { algorithm } = request;
    const { signal, onProgress } = tools;
    const digest = await checksumImage(node, algorithm, { signal, onProgress });
    return { kind: 'checksum', algorithm, digest, size: node.virtualSize };
  });

export const runMeasure: Runner<'measure'> = (request, tools) =>
  withImage(tools, request.image, {}, async (node) => {
    const { format, options: create } = request;
    const { required, fullyAllocated, bitmaps } = await measureImage(node, { format, create });
    return { kind: 'measure', required, full: fullyAllocated, ...(bitmaps === undefined ? {} : { bitmaps }) };
  });
