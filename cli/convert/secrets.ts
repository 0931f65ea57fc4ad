/** `--object secret,id=ID,data=TEXT` (or `file=PATH`): passphrases that other options name by their id. */
import { readFileSync } from 'node:fs';
import type { OptionSpecs } from '../frame/command.ts';
import { UsageError } from '../frame/usage-error.ts';

export const OBJECT_OPTION = {
  object: {
    kind: 'list',
    value: 'secret,id=ID,…',
    help: 'a passphrase: data=TEXT or file=PATH, with format=base64 where it is written so',
  },
} as const satisfies OptionSpecs;

export class Secrets {
  readonly #values = new Map<string, string>();

  /** Throws UsageError for objects of another kind, and without id or contents. */
  constructor(objects: readonly string[]) {
    for (const object of objects) {
      const [kind, ...pairs] = object.replaceAll(',,', '\0').split(',');
      const members = new Map(
        pairs.map((pair): [string, string] => {
          const equals = pair.indexOf('=');
          return [pair.slice(0, equals), pair.slice(equals + 1).replaceAll('\0', ',')];
        }),
      );
      const id = members.get('id');
      if (kind !== 'secret' || id === undefined) {
        throw new UsageError(
          `option '--object' cannot be '${kind},…': expected secret,id=ID,data=… or file=…`,
        );
      }
      this.#values.set(id, contents(members));
    }
  }

  /** Throws UsageError when there is no such object. */
  passphrase(id: string): string {
    const value = this.#values.get(id);
    if (value !== undefined) return value;
    throw new UsageError(`there is no secret '${id}': give --object secret,id=${id},data=… or file=…`);
  }

  /** The first one that is not called so: what opens an image that another passphrase is added to. */
  firstBeside(id: string | undefined): string | undefined {
    return [...this.#values].find(([name]) => name !== id)?.[1];
  }

  /** Where one image is opened and no id is said: the only secret there is. */
  get only(): string | undefined {
    return this.#values.size === 1 ? [...this.#values.values()][0] : undefined;
  }
}

function contents(members: ReadonlyMap<string, string>): string {
  const file = members.get('file');
  const data = file === undefined ? members.get('data') : readFileSync(file, 'utf8');
  if (data === undefined) throw new UsageError("option '--object secret' needs data=… or file=…");
  return members.get('format') === 'base64' ? Buffer.from(data, 'base64').toString('utf8') : data;
}
