/** A new image under a temporary name, complete with the files beside it: what `create` and `convert` begin with. */
import { existsSync } from 'node:fs';
import { basename } from 'node:path';
import { PlatterError } from '../../errors.ts';
import type { FormatNode } from '../access.ts';
import type { CreateOptions, FormatDescriptor } from '../format.ts';
import { formatByName } from '../formats/registry.ts';
import type { Gate } from '../gate.ts';
import { openImage, type OpenOptions } from '../graph.ts';
import { openFile, type FileStorage } from '../storage/file.ts';
import { WriteBehind } from '../storage/write-behind.ts';
import { createNewFile } from './new-file.ts';
import { preallocateNew } from './preallocate.ts';
import { Siblings } from './siblings.ts';

export interface NewImageOptions {
  /** QEMU's driver name. */
  format: string;
  /** As `qemu-img create -o`; secrets stand for themselves (the passphrase, not its id). */
  create: CreateOptions;
  /** Replace a file that exists. */
  overwrite?: boolean;
  /** Asked for files that are not made here: the backing image. */
  gate?: Gate;
}

export interface NewImage {
  readonly descriptor: FormatDescriptor;
  /** Opens it for writing; `options` wins over what is known. */
  open(options?: OpenOptions): Promise<FormatNode>;
  /** The same for filling it from start to end: large writes go on while the job reads. `settle` waits for them. */
  openToFill(options?: OpenOptions): Promise<{ node: FormatNode; settle: () => Promise<void> }>;
  /** Gives it its name. Nothing may have it open. */
  commit(): void;
  /** Removes everything; for every way out that is not `commit`. */
  discard(): void;
}

/** Throws `block.cannot-create`, `block.unknown-option`, `block.bad-option`, `storage.*`. */
export async function newImage(path: string, options: NewImageOptions): Promise<NewImage> {
  const descriptor = formatByName(options.format);
  if (descriptor.create === undefined) {
    throw new PlatterError(
      'block.cannot-create',
      `Images of the format ${descriptor.name} cannot be written`,
      {
        option: 'format',
        value: descriptor.name,
      },
    );
  }
  if (options.overwrite !== true && existsSync(path)) {
    throw new PlatterError('storage.exists', `"${basename(path)}" exists already (open)`, {
      image: basename(path),
      errno: 'EEXIST',
      hint: 'Choose another name.',
    });
  }
  const file = createNewFile(path, options.overwrite ?? false);
  const siblings = new Siblings(path, options.gate);
  const secret = passphraseOf(options.create);
  const storage = (): FileStorage => openFile(file.path, { readOnly: false, name: basename(path) });
  const open = async (source: FileStorage | WriteBehind, more?: OpenOptions): Promise<FormatNode> => {
    const known = { format: descriptor.name, readOnly: false, gate: siblings.gate, secret };
    return (await openImage(source, { ...known, ...more })).node;
  };
  const image: NewImage = {
    descriptor,
    open: (more) => open(storage(), more),
    openToFill: async (more) => {
      const behind = new WriteBehind(storage());
      return { node: await open(behind, more), settle: () => behind.settle() };
    },
    commit: () => file.commit(),
    discard: () => {
      file.discard();
      siblings.discard();
    },
  };
  try {
    const dataFile = options.create['data_file'];
    if (dataFile !== undefined) siblings.createData(String(dataFile), options.create.size);
    await descriptor.create(file.storage, options.create, siblings);
    file.storage.close();
    await preallocateNew(image, options.create);
    return image;
  } catch (error) {
    image.discard();
    throw error;
  }
}

/** How the new image opens again. */
function passphraseOf(create: CreateOptions): OpenOptions['secret'] {
  const passphrase = create['key-secret'] ?? create['encrypt.key-secret'];
  return passphrase === undefined ? undefined : () => String(passphrase);
}
