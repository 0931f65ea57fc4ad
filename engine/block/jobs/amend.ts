/** `qemu-img amend`: what an image was made with, changed afterwards: options of qcow2, key slots of LUKS. */
import { PlatterError } from '../../errors.ts';
import { run, type Steps } from '../../maybe.ts';
import type { FormatNode } from '../access.ts';
import type { CreateOptions } from '../format.ts';
import { amendSpecs } from '../formats/create-specs.ts';
import { LuksDriver } from '../formats/luks/driver.ts';
import { amendKeyslots } from '../formats/luks/keyslots.ts';
import { amendQcow2, checkAmendment, type Qcow2Amendment } from '../formats/qcow2/amend.ts';
import { badOption, choice, flag } from '../formats/shared/options.ts';
import type { Storage } from '../storage/storage.ts';
import { qcow2State } from './qcow2-state.ts';
import { resizeImage } from './resize.ts';

export type AmendOptions = Omit<CreateOptions, 'size'> & { size?: number };

export interface AmendContext {
  /** A passphrase that opens the image now; needed to add another. */
  passphrase?: string | Uint8Array;
  /** Do what may lose the contents: empty the last key slot, replace one that is in use. */
  force?: boolean;
  /** Allow a smaller `size`. */
  shrink?: boolean;
}

/**
 * `options` as `qemu-img amend -o` names them; secrets stand for themselves. `node` is open for writing, and of no use afterwards: open
 * the image anew. Throws `amend.*`, `luks.*`, `resize.*`, `block.unknown-option`, `block.bad-option`.
 */
export async function amendImage(
  node: FormatNode,
  options: AmendOptions,
  context: AmendContext = {},
): Promise<void> {
  const known = amendSpecs(node.driver).map(({ name }) => name);
  for (const option of Object.keys(options)) {
    if (options[option] === undefined || known.includes(option)) continue;
    throw new PlatterError('block.unknown-option', `${option} of a ${node.driver} image cannot be changed`, {
      image: node.name,
      option,
      expected: known.join(', '),
    });
  }
  if (node.readOnly && !(node.format instanceof LuksDriver)) {
    throw new PlatterError('block.read-only', `"${node.name}" is open read-only`, { image: node.name });
  }
  if (node.format instanceof LuksDriver) {
    const { storage } = node.format;
    await node.alone(() => run(changeKeys(storage, options, '', context)));
    return;
  }
  const state = qcow2State(node, 'options that could be changed');
  checkBacking(node, options);
  if (Object.keys(options).some((name) => name.startsWith('encrypt.'))) {
    const region = state.encryption?.region;
    if (region === undefined) {
      throw new PlatterError('amend.impossible', `"${node.name}" is not encrypted: it has no key slots`, {
        image: node.name,
        option: 'encrypt.state',
        value: 'not encrypted',
      });
    }
    await node.alone(() => run(changeKeys(region, options, 'encrypt.', context)));
  }
  const version = compatVersion(options);
  const bits = options['refcount_bits'];
  const change: Qcow2Amendment = {
    version,
    lazyRefcounts: optionalFlag(options, 'lazy_refcounts'),
    refcountBits: bits === undefined ? undefined : refcountBits(bits),
    dataFile: options['data_file'] === undefined ? undefined : String(options['data_file']),
    dataFileRaw: optionalFlag(options, 'data_file_raw'),
  };
  const { header } = state;
  checkAmendment(state, change, version ?? header.version, change.refcountBits ?? 2 ** header.refcountOrder);
  // A lower version comes last: until then the other changes may need the higher one.
  const lower = version === 2 && header.version === 3;
  await node.alone(() => run(amendQcow2(state, lower ? { ...change, version: 3 } : change)));
  if (options.size !== undefined) await resizeImage(node, options.size, { shrink: context.shrink });
  if (lower) await node.alone(() => run(amendQcow2(state, { version })));
}

function compatVersion(options: AmendOptions): 2 | 3 | undefined {
  if (options['compat'] === undefined) return undefined;
  return choice(options, 'compat', ['0.10', '1.1', 'v2', 'v3']).match(/0\.10|v2/) === null ? 3 : 2;
}

function refcountBits(value: CreateOptions[string]): number {
  const bits = Number(value);
  if (bits >= 1 && bits <= 64 && Number.isInteger(Math.log2(bits))) return bits;
  throw badOption('refcount_bits', value, 'a power of two from 1 to 64');
}

function optionalFlag(options: AmendOptions, name: string): boolean | undefined {
  return options[name] === undefined ? undefined : flag({ ...options, size: 0 }, name, false);
}

/** As QEMU: naming the present backing file is fine, another one is the business of rebase. */
function checkBacking(node: FormatNode, options: AmendOptions): void {
  const state = qcow2State(node, 'backing files');
  const other =
    (options['backing_file'] !== undefined && options['backing_file'] !== (state.backingName ?? '')) ||
    (options['backing_fmt'] !== undefined &&
      options['backing_fmt'] !== (state.extensions.backingFormat ?? ''));
  if (!other) return;
  throw new PlatterError('amend.backing', `The backing file of "${node.name}" is not changed this way`, {
    image: node.name,
    option: 'backing_file',
    hint: 'Use rebase.',
  });
}

function* changeKeys(
  storage: Storage,
  options: AmendOptions,
  prefix: string,
  context: AmendContext,
): Steps<void> {
  const text = (name: string): Uint8Array | undefined => {
    const value = options[prefix + name];
    return value === undefined ? undefined : new TextEncoder().encode(String(value));
  };
  const number = (name: string): number | undefined => {
    const value = options[prefix + name];
    return value === undefined ? undefined : Number(value);
  };
  const missing = (option: string): PlatterError =>
    new PlatterError(
      'amend.impossible',
      `Which key slots shall become what is not said: ${prefix}${option} is missing`,
      {
        image: storage.name,
        option: prefix + option,
        value: 'missing',
      },
    );
  if (options[`${prefix}state`] === undefined) throw missing('state');
  const wanted = { ...options, size: 0 };
  const slot = number('keyslot');
  const { force } = context;
  if (choice(wanted, `${prefix}state`, ['active', 'inactive']) === 'inactive') {
    yield* amendKeyslots(storage, { state: 'inactive', slot, oldPassphrase: text('old-secret'), force });
    return;
  }
  const newPassphrase = text('new-secret');
  if (newPassphrase === undefined) throw missing('new-secret');
  const given =
    typeof context.passphrase === 'string'
      ? new TextEncoder().encode(context.passphrase)
      : context.passphrase;
  const passphrase = text('old-secret') ?? given;
  if (passphrase === undefined) throw missing('old-secret');
  yield* amendKeyslots(storage, {
    state: 'active',
    passphrase,
    newPassphrase,
    slot,
    iterTime: number('iter-time'),
    force,
  });
}
