/** The list of attached images as a person wants to see it: filtered by words, in an order. */
import type { AttachedImage } from '#contract/images.ts';

export const IMAGE_ORDERS = ['attached', 'name', 'virtual', 'actual'] as const;
export type ImageOrder = (typeof IMAGE_ORDERS)[number];

/** From so many images on there is a field to filter them. */
export const MANY_IMAGES = 10;

/** `disk-2` before `disk-10`. */
const names = new Intl.Collator(undefined, { numeric: true, sensitivity: 'base' });

/** Every word is somewhere in the image's name, folder, format or state. @param state the state in words */
export function matches(image: AttachedImage, filter: string, state: string): boolean {
  const text = [image.name, image.where, image.info?.format ?? '', state].join('\n').toLowerCase();
  return filter
    .toLowerCase()
    .split(/\s+/)
    .every((word) => text.includes(word));
}

/** The largest first; what is not open yet comes last. */
export function ordered(images: readonly AttachedImage[], order: ImageOrder): AttachedImage[] {
  const size = ({ info }: AttachedImage): number =>
    (order === 'virtual' ? info?.virtualSize : info?.actualSize) ?? -1;
  if (order === 'attached') return [...images];
  return images.toSorted((one, other) =>
    order === 'name' ? names.compare(one.name, other.name) : size(other) - size(one),
  );
}
