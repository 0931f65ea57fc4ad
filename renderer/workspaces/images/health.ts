/** How an image is, in one word and a tone. */
import type { AttachedImage } from '#contract/images.ts';
import { lockedLayer } from './facts.ts';

export interface Health {
  tone: 'good' | 'warn' | 'bad' | 'busy' | 'locked' | 'unknown';
  /** Message key. */
  key: string;
  params?: Record<string, string>;
  /** Message key of a sentence that says more. */
  advice?: string;
}

export function health(image: AttachedImage): Health {
  if (image.busy === true) return { tone: 'busy', key: 'images.health.busy' };
  if (image.process === 'crashed') return { tone: 'bad', key: 'images.health.crashed' };
  if (image.process === 'hung') return { tone: 'bad', key: 'images.health.hung' };
  if (image.error !== undefined) return { tone: 'bad', key: 'images.health.error' };
  if (image.info === undefined) {
    if (image.process === 'waiting') return { tone: 'unknown', key: 'images.health.waiting' };
    return image.process === 'ended'
      ? { tone: 'unknown', key: 'images.health.closed' }
      : { tone: 'busy', key: 'images.health.opening' };
  }
  if (image.stale === 'gone') return { tone: 'bad', key: 'images.health.gone' };
  if (image.stale !== undefined) return { tone: 'warn', key: `images.health.${image.stale}` };
  if (image.info.formatSpecific['corrupt'] === true) return { tone: 'bad', key: 'images.health.corrupt' };
  const { writers } = image.info;
  if (writers !== undefined && writers.length > 0) {
    const params = { who: writers.join(', ') };
    return { tone: 'warn', key: 'holders.writing', params, advice: 'holders.advice' };
  }
  if (image.info.backingError !== undefined) return { tone: 'warn', key: 'images.health.backing' };
  if (lockedLayer(image.info) !== undefined) return { tone: 'locked', key: 'images.health.locked' };
  if (image.info.dirty) return { tone: 'warn', key: 'images.health.dirty' };
  return { tone: 'good', key: 'images.health.clean' };
}
