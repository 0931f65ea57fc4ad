/** How an image is, in one word and a tone. */
import type { AttachedImage } from '#contract/images.ts';

export interface Health {
  tone: 'good' | 'warn' | 'bad' | 'busy' | 'unknown';
  /** Message key. */
  key: string;
}

export function health(image: AttachedImage): Health {
  if (image.busy === true) return { tone: 'busy', key: 'images.health.busy' };
  if (image.process === 'crashed') return { tone: 'bad', key: 'images.health.crashed' };
  if (image.process === 'hung') return { tone: 'bad', key: 'images.health.hung' };
  if (image.error !== undefined) return { tone: 'bad', key: 'images.health.error' };
  if (image.info === undefined) {
    return image.process === 'ended'
      ? { tone: 'unknown', key: 'images.health.closed' }
      : { tone: 'busy', key: 'images.health.opening' };
  }
  if (image.info.formatSpecific['corrupt'] === true) return { tone: 'bad', key: 'images.health.corrupt' };
  if (image.info.backingError !== undefined) return { tone: 'warn', key: 'images.health.backing' };
  if (image.info.dirty) return { tone: 'warn', key: 'images.health.dirty' };
  return { tone: 'good', key: 'images.health.clean' };
}
