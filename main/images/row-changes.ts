/** What of the list of images has changed since it was told last: with hundreds of them the whole is too much to send every time. */
import type { AttachedImage, ImageHandle, ImagesChange } from '#contract/images.ts';

/** At most so often, milliseconds; the first change after a pause is told at once. */
export const TELL_MS = 50;

export class RowChanges {
  readonly #list: () => AttachedImage[];
  readonly #changed: (change: ImagesChange) => void;
  readonly #told = new Map<ImageHandle, AttachedImage>();
  #order = '';
  #due = false;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(list: () => AttachedImage[], changed: (change: ImagesChange) => void) {
    this.#list = list;
    this.#changed = changed;
  }

  /** Something may have changed. */
  note(): void {
    this.#due = true;
    if (this.#timer === undefined) this.flush();
  }

  /** Tells now what there is to tell. */
  flush(): void {
    if (!this.#due) return;
    this.#due = false;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.flush();
    }, TELL_MS);
    this.#timer.unref();
    this.#tell();
  }

  #tell(): void {
    const all = this.#list();
    const order = all.map(({ handle }) => handle);
    const rows = all.filter((row) => !same(row, this.#told.get(row.handle)));
    const moved = order.join() !== this.#order;
    if (rows.length === 0 && !moved) return;
    this.#order = order.join();
    this.#told.clear();
    for (const row of all) this.#told.set(row.handle, row);
    this.#changed({ rows, ...(moved ? { order } : {}) });
  }
}

/** What an image says of itself is a new object whenever it was asked again, and large; the rest is small. */
function same(one: AttachedImage, other: AttachedImage | undefined): boolean {
  if (other === undefined || one.info !== other.info) return false;
  return JSON.stringify({ ...one, info: null }) === JSON.stringify({ ...other, info: null });
}
