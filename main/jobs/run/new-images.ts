/** Jobs that make a new file: it appears under its name when it is complete. */
import { statSync } from 'node:fs';
import { encryptionKey } from '#contract/job-command.ts';
import type { JobOf, JobResult } from '#contract/jobs.ts';
import type { JobSecrets } from '#contract/secrets.ts';
import { allowAll } from '#engine/block/gate.ts';
import type { CreateOptions } from '#engine/block/format.ts';
import { convert } from '#engine/block/jobs/convert.ts';
import { createImage } from '#engine/block/jobs/create.ts';
import { ddImage } from '#engine/block/jobs/dd.ts';
import { withImage, type Runner } from './tools.ts';

export const runConvert: Runner<'convert'> = async (request, tools) => {
  const path = tools.path(request.target);
  await withImage(tools, request.image, { snapshot: request.snapshot }, (node) =>
    convert(node, path, {
      format: request.format,
      create: formatOptions(request, tools.secrets),
      overwrite: request.overwrite,
      sparse: request.sparse,
      compress: request.compressed,
      signal: tools.signal,
      onProgress: tools.onProgress,
    }),
  );
  return madeFile(path);
};

export const runCreate: Runner<'create'> = async (request, tools) => {
  const path = tools.path(request.target);
  const { backing } = request;
  await createImage(path, {
    format: request.format,
    size: request.size,
    create: {
      ...formatOptions(request, tools.secrets),
      ...(backing === undefined
        ? {}
        : { backing_file: tools.reference(backing), backing_fmt: request.backingFormat }),
    },
    overwrite: request.overwrite,
    // The person named that image; nothing that it names itself is opened.
    gate: allowAll,
    secret: tools.secret,
  });
  return madeFile(path);
};

export const runCopy: Runner<'copy'> = async (request, tools) => {
  const path = tools.path(request.target);
  const { format, bs, skip, count, overwrite } = request;
  const { signal, onProgress } = tools;
  await withImage(tools, request.image, {}, (node) =>
    ddImage(node, path, { format, bs, skip, count, overwrite, signal, onProgress }),
  );
  return madeFile(path);
};

/** `-o`, with the passphrase where the format's creator wants it. */
export function formatOptions(
  { format, options }: JobOf<'convert' | 'create'>,
  { target }: JobSecrets,
): Omit<CreateOptions, 'size'> {
  const key = encryptionKey(format, options);
  return { ...options, ...(key === undefined ? {} : { [key]: target }) };
}

export function madeFile(path: string): JobResult {
  const { size, blocks } = statSync(path);
  return { kind: 'file', size, ...(process.platform === 'win32' ? {} : { actual: blocks * 512 }) };
}
