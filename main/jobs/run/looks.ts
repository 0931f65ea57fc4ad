/** Jobs that only read. */
import { compareImages } from '#engine/block/jobs/compare.ts';
import { withImage, type Runner } from './tools.ts';

export const runCompare: Runner<'compare'> = (request, tools) =>
  withImage(tools, request.image, {}, (one) =>
    withImage(tools, request.other, {}, async (two) => {
      const { strict } = request;
      const { signal, onProgress } = tools;
      return { kind: 'compare', ...(await compareImages(one, two, { strict, signal, onProgress })) };
    }),
  );
