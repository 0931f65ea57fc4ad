/** Fields of a node, fetched a page at a time as they come into view. */
import { shallowReactive } from 'vue';
import type { PlainError } from '#contract/error.ts';
import type { ImageHandle } from '#contract/images.ts';
import type { StructureField } from '#contract/structure.ts';
import { asPlainError, platter } from '../../../lib/platter.ts';

const PAGE = 256;
/** Pages that are kept: 16384 fields. */
const KEPT = 64;

export class FieldPages {
  readonly state = shallowReactive<{ version: number; error: PlainError | null }>({
    version: 0,
    error: null,
  });
  readonly #handle: ImageHandle;
  readonly path: string;
  readonly #pages = new Map<number, StructureField[]>();
  readonly #wanted = new Set<number>();

  constructor(handle: ImageHandle, path: string) {
    this.#handle = handle;
    this.path = path;
  }

  /** The field at an index, or undefined while it is not there; asks for its page. */
  at(index: number): StructureField | undefined {
    if (index < 0) return undefined;
    const number = Math.floor(index / PAGE);
    const page = this.#pages.get(number);
    if (page === undefined) this.#ask(number);
    return page?.[index % PAGE];
  }

  /** Index of the field that holds a byte, among those that are there; -1 for none. */
  find(offset: number): number {
    for (const [number, page] of this.#pages) {
      const index = page.findIndex((one) => offset >= one.offset && offset < one.offset + one.length);
      if (index >= 0) return number * PAGE + index;
    }
    return -1;
  }

  #ask(number: number): void {
    if (this.#wanted.has(number)) return;
    this.#wanted.add(number);
    platter.call('images.structureFields', this.#handle, this.path, number * PAGE, PAGE).then(
      ({ fields }) => {
        this.#wanted.delete(number);
        this.#pages.set(number, fields);
        for (const old of this.#pages.keys()) {
          if (this.#pages.size <= KEPT) break;
          this.#pages.delete(old);
        }
        this.state.version += 1;
      },
      (error: unknown) => {
        this.state.error = asPlainError(error);
      },
    );
  }
}
