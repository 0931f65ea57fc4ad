/**
 * How a qemu-img command names images: by file and `-f`, or, where one of them is encrypted, by `--image-opts` with the ids of secrets.
 * A secret stands in a file, never on the command line.
 */

import type { ImageInfo } from './images.ts';

/** One image of a chain, from the one that the guest sees down. */
export interface CommandLayer {
  file: string;
  format: string;
  encrypted: boolean;
}

/** An image and what it rests on, files by their names. */
export function commandLayers(info: ImageInfo | undefined): CommandLayer[] {
  const layers: CommandLayer[] = [];
  for (let layer = info; layer !== undefined; layer = layer.backing) {
    layers.push({ file: layer.name, format: layer.format, encrypted: layer.encrypted });
  }
  return layers;
}

/** How a command names files. */
export interface CommandNames {
  /** A file by its handle. */
  file(handle: string): string;
  /** As an image at `from` names another file: relative to its own folder. */
  reference(handle: string, from: string): string;
  /** The format of an attached image, when it is known. */
  format(handle: string): string | undefined;
  /** An attached image and what it rests on, as far as that is open; empty when nothing is known. */
  layers(handle: string): CommandLayer[];
}

/** The words of one command that name its images and its secrets. */
export class CommandImages {
  readonly #names: CommandNames;
  readonly #alone: boolean;
  /** They are named by `--image-opts`. */
  readonly byOptions: boolean;
  /** Files of passphrases, in the order of their ids. */
  readonly #secrets: string[] = [];
  readonly #idOf = new Map<string, string>();

  /**
   * @param handles the images that the command opens
   * @param alone it opens them without what they rest on (BDRV_O_NO_BACKING), and refuses options for that
   */
  constructor(names: CommandNames, handles: readonly string[], alone = false) {
    this.#names = names;
    this.#alone = alone;
    this.byOptions = handles.some((handle) => this.#layers(handle).some(({ encrypted }) => encrypted));
    // Ids are given in the order in which images stand.
    for (const handle of handles) if (this.byOptions) this.image(handle);
  }

  /** `-f qcow2` (or `-F`), or nothing beside `--image-opts`. */
  format(handle: string, flag = '-f'): string[] {
    if (this.byOptions) return flag === '-f' ? ['--image-opts'] : [];
    const format = this.#names.format(handle);
    return format === undefined ? [] : [flag, format];
  }

  /** The word for one image. */
  image(handle: string): string {
    const layers = this.#layers(handle);
    if (!this.byOptions || layers.length === 0) return this.#names.file(handle);
    // What lies below the last encrypted one is found without being told.
    const last = layers.findLastIndex(({ encrypted }) => encrypted);
    return layers
      .slice(0, Math.max(0, last) + 1)
      .flatMap((layer, depth) => this.#layer(layer, 'backing.'.repeat(depth)))
      .map(([key, value]) => `${key}=${value.replaceAll(',', ',,')}`)
      .join(',');
  }

  /** The word for an image that is always opened by a file's name, whatever the others are: with its secret as `json:{…}`. */
  byName(handle: string): string {
    const layer = this.#names.layers(handle).at(0);
    if (layer === undefined || !layer.encrypted) return this.#names.file(handle);
    return `json:${JSON.stringify(Object.fromEntries(this.#layer(layer, '')))}`;
  }

  /** The id of the secret in a file of this name. */
  secret(file: string): string {
    const known = this.#secrets.indexOf(file);
    return `sec${known < 0 ? this.#secrets.push(file) - 1 : known}`;
  }

  /** `--object secret,…` for every secret that was named. */
  objects(): string[] {
    return this.#secrets.flatMap((file, index) => ['--object', `secret,id=sec${index},file=${file}`]);
  }

  #layers(handle: string): CommandLayer[] {
    const layers = this.#names.layers(handle);
    return this.#alone ? layers.slice(0, 1) : layers;
  }

  #layer({ file, format, encrypted }: CommandLayer, prefix: string): [key: string, value: string][] {
    const options: [string, string][] = [['driver', format]];
    if (encrypted) {
      const id = this.#secretOf(file);
      if (format === 'luks') options.push(['key-secret', id]);
      else options.push(['encrypt.format', 'luks'], ['encrypt.key-secret', id]);
    }
    options.push(['file.filename', file]);
    return options.map(([key, value]) => [prefix + key, value]);
  }

  /** The id for the passphrase of one image: `passphrase.txt`, `passphrase-2.txt`, … */
  #secretOf(image: string): string {
    const known = this.#idOf.get(image);
    if (known !== undefined) return known;
    const number = this.#idOf.size + 1;
    const id = this.secret(number === 1 ? 'passphrase.txt' : `passphrase-${number}.txt`);
    this.#idOf.set(image, id);
    return id;
  }
}
