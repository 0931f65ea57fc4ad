/** Short facts about an image. */
import type { ImageInfo } from '#contract/images.ts';
import { t } from '../../i18n/index.ts';

/** The image and its opened backing images, from the top down. */
export function layers(info: ImageInfo): ImageInfo[] {
  const chain: ImageInfo[] = [];
  for (let layer: ImageInfo | undefined = info; layer !== undefined; layer = layer.backing) chain.push(layer);
  return chain;
}

/** `qcow2 v3`: the format and, for qcow2, its version. */
export function formatName(info: ImageInfo): string {
  const compat = info.formatSpecific['compat'];
  if (info.format !== 'qcow2' || compat === undefined) return info.format;
  return `qcow2 ${compat === '0.10' ? 'v2' : 'v3'}`;
}

/** Layers of the chain, counting a backing image that is named but not open too. */
export function chainLength(info: ImageInfo): number {
  const chain = layers(info);
  return chain.length + (chain[chain.length - 1].backingFilename === undefined ? 0 : 1);
}

/** The first image of a chain, from the top, whose passphrase is not known. */
export function lockedLayer(info: ImageInfo): ImageInfo | undefined {
  return layers(info).find(({ locked }) => locked === true);
}

/** `chain of 2`. */
export function chainText(info: ImageInfo): string {
  const length = chainLength(info);
  return length === 1 ? t('images.fact.no-backing') : t('images.fact.chain', { length });
}
