/** `qemu-img create`: an empty image, alone or over a backing image. */
import { basename } from 'node:path';
import { PlatterError } from '../../errors.ts';
import type { CreateOptions } from '../format.ts';
import { createSpecs } from '../formats/create-specs.ts';
import { VmdkDriver } from '../formats/vmdk/driver.ts';
import { denyAll, type Gate } from '../gate.ts';
import { openImage, type OpenOptions } from '../graph.ts';
import { resolveReference } from '../references.ts';
import { newImage } from './new-image.ts';

export interface CreateImageOptions {
  /** QEMU's driver name. Default `raw`. */
  format?: string;
  /** Bytes of the guest's disk; rounded up to whole sectors. That of the backing image when left out. */
  size?: number;
  /** As `qemu-img create -o`, without `size`; secrets stand for themselves (the passphrase, not its id). */
  create?: Omit<CreateOptions, 'size'>;
  /** Replace a file that exists. Default: throw `storage.exists`. */
  overwrite?: boolean;
  /** Asked before the backing image is looked into. Default: deny. */
  gate?: Gate;
  /** Passphrase of the backing image. */
  secret?: OpenOptions['secret'];
  /** Do not look at the backing image: it need not exist (`-u`). `size` is needed then. */
  unsafe?: boolean;
  /** Called when everything is known and nothing is written yet. */
  onStart?: (plan: { size: number; create: Omit<CreateOptions, 'size'> }) => void;
}

/**
 * Makes the image; it has its name only when it is complete. Answers the disk's size, bytes.
 * Throws `create.needs-size`, `create.backing-without-format`, `gate.denied`, `block.*`, `storage.*`.
 */
export async function createImage(path: string, options: CreateImageOptions = {}): Promise<number> {
  const format = options.format ?? 'raw';
  const create = { ...options.create };
  const known = createSpecs(format).map(({ name }) => name);
  const backing = create['backing_file'] === '' ? undefined : create['backing_file'];
  if (backing !== undefined && !known.includes('backing_file')) {
    throw new PlatterError('create.no-backing', `A ${format} image cannot have a backing file`, {
      option: 'backing_file',
      value: String(backing),
      hint: 'Choose qcow2, qed or vmdk.',
    });
  }
  let { size } = options;
  let more: Omit<CreateOptions, 'size'> = {};
  if (backing !== undefined && options.unsafe !== true) {
    const found = await backingFacts(path, { ...options, format, create });
    size ??= found.size;
    more = found.more;
  }
  if (size === undefined) {
    throw new PlatterError('create.needs-size', `The size of "${basename(path)}" is not known`, {
      image: basename(path),
      option: 'size',
      hint: 'Say how large its disk shall be.',
    });
  }
  if (!Number.isSafeInteger(size) || size < 0) {
    throw new PlatterError('block.bad-option', `A disk cannot have ${size} bytes`, {
      option: 'size',
      value: String(size),
      expected: '0 to 2^53 bytes',
    });
  }
  options.onStart?.({ size, create });
  const image = await newImage(path, {
    format,
    create: { ...create, ...more, size },
    overwrite: options.overwrite,
  });
  try {
    image.commit();
  } catch (error) {
    image.discard();
    throw error;
  }
  return size;
}

/**
 * Opens the backing image alone, not what is below it: it must be there, it gives the disk's size, and a vmdk image keeps the
 * content identifier that it has now.
 */
export async function backingFacts(
  path: string,
  options: Pick<CreateImageOptions, 'gate' | 'secret' | 'format' | 'create'>,
): Promise<{ size: number; more: Omit<CreateOptions, 'size'> }> {
  const reference = String(options.create?.['backing_file']);
  const claimed = options.create?.['backing_fmt'];
  const image = basename(path);
  const resolved = resolveReference(reference, path, image);
  const format = claimed === undefined ? undefined : String(claimed);
  const gate = options.gate ?? denyAll;
  const request = { image, role: 'backing' as const, reference, resolved, format, depth: 1 };
  if (!(await gate.allow(request))) {
    throw new PlatterError(
      'gate.denied',
      `Opening "${reference}" as the backing file of "${image}" was not allowed`,
      {
        image,
        field: 'backing',
        value: reference,
        hint: 'Allow it if you trust that image.',
      },
    );
  }
  const { node, info } = await openImage(resolved, { format, backing: 'skip', secret: options.secret });
  try {
    if (format === undefined) {
      throw new PlatterError(
        'create.backing-without-format',
        `The backing file "${reference}" is named without its format (it looks like ${info.format})`,
        {
          image,
          option: 'backing_fmt',
          value: info.format,
          hint: 'Say the format of the backing file as well: one that is guessed can be guessed wrong later.',
        },
      );
    }
    const cid = node.format instanceof VmdkDriver ? { parent_cid: node.format.cid } : {};
    if (options.format === 'vmdk' && !(node.format instanceof VmdkDriver)) {
      throw new PlatterError(
        'block.bad-option',
        `The backing file of a vmdk image cannot be ${info.format}`,
        {
          option: 'backing_fmt',
          value: info.format,
          expected: 'vmdk',
        },
      );
    }
    return { size: Math.ceil(node.virtualSize / 512) * 512, more: options.format === 'vmdk' ? cid : {} };
  } finally {
    await node.close();
  }
}
