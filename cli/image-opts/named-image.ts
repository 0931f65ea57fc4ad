/**
 * An image as it was named on the command line: a path, `json:{…}`, or with `--image-opts` a list of options. Only here are such names
 * understood: what stands in an image is a path and nothing else.
 */
import type { OpenOptions } from '#engine/block/graph.ts';
import { leafOf, type ImageTree } from '#engine/block/image-tree.ts';
import { PlatterError } from '#engine/errors.ts';
import type { Problem, Word } from '#engine/qemu/model.ts';
import { keyTree, type KeyTree } from '#engine/qemu/model/tree.ts';
import { readJsonParams, readParams } from '#engine/qemu/parse/params.ts';
import { OBJECT_OPTION, Secrets } from '../convert/secrets.ts';
import type { OptionSpecs } from '../frame/command.ts';
import { UsageError } from '../frame/usage-error.ts';
import { describedName } from './name.ts';
import { plainPath } from './plain-path.ts';
import { imageTree } from './tree.ts';

export const IMAGE_OPTS_OPTION = {
  'image-opts': {
    kind: 'flag',
    help: 'IMAGE is options as -blockdev takes them: driver=qcow2,file.filename=disk.qcow2',
  },
  ...OBJECT_OPTION,
} as const satisfies OptionSpecs;

export interface NamedImage {
  /** For `openImage`. */
  source: string | ImageTree;
  open: Pick<OpenOptions, 'format' | 'secret'>;
  /** What qemu-img calls it, once it is known to be of `format`. */
  name(format: string): string;
  /** The file that the first layer lies in: what map's table says. */
  file: string;
  /** The driver of the bytes of a file themselves was asked for. */
  bare: boolean;
}

interface Given {
  'image-opts': boolean;
  object: readonly string[];
  format: string | undefined;
}

/** Throws UsageError, and `image-opts.*`. */
export function namedImage(text: string, given: Given): NamedImage {
  const secrets = new Secrets(given.object);
  if (given['image-opts'] && given.format !== undefined)
    throw new UsageError('--image-opts says the format itself (driver=…): not with --format');
  const open = { format: given.format, secret: () => secrets.only };
  const keys = given['image-opts'] ? optionKeys(text) : jsonKeys(text);
  if (keys === undefined) {
    const path = plainPath(text);
    return { source: path, open, file: path, name: () => path, bare: false };
  }
  const source = imageTree(keys, secrets);
  if (source.driver !== undefined && given.format !== undefined && source.driver !== given.format)
    throw new UsageError(`--format says ${given.format}, the options say driver=${source.driver}`);
  const file = leafOf(source).filename;
  return {
    source,
    open,
    file,
    name: (format) => describedName(keys, format),
    bare: source.filename !== undefined,
  };
}

function optionKeys(text: string): KeyTree {
  return keyTree(readParams(word(text), undefined, false));
}

function jsonKeys(text: string): KeyTree | undefined {
  if (!text.startsWith('json:')) return undefined;
  const problems: Problem[] = [];
  const params = readJsonParams(word(text.slice('json:'.length)), problems);
  if (problems.length === 0) return keyTree(params);
  throw new PlatterError(
    'image-opts.bad-json',
    `What follows json: is no JSON object (byte ${problems[0].span.start})`,
    {
      option: 'json:',
      offset: problems[0].span.start,
    },
  );
}

function word(value: string): Word {
  return { value, span: { start: 0, end: value.length } };
}
