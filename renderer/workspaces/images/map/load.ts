/** Loads the block map of an image page by page; what is there is shown while the rest comes. */
import { shallowReactive } from 'vue';
import type { PlainError } from '#contract/error.ts';
import type { ImageHandle, ImageInfo } from '#contract/images.ts';
import { asPlainError, platter } from '../../../lib/platter.ts';
import { openKey } from '../view.ts';
import { ExtentTable } from './extents.ts';

/** Rows asked for at once, and the most that are kept: 4 Mi rows are 112 MiB. */
const PAGE = 16384;
const MOST = 4 * 1024 * 1024;

export interface BlockMap {
  table: ExtentTable;
  /** Grows with every page: what draws watches it. */
  version: number;
  /** Guest bytes mapped so far. */
  mapped: number;
  done: boolean;
  /** The disk has more stretches than are kept. */
  cut: boolean;
  error: PlainError | null;
}

const maps = new Map<ImageHandle, { key: string; map: BlockMap }>();

/** The image's map; begins to load it when it is asked for first, or again after the image was reopened. */
export function blockMap(handle: ImageHandle, info: ImageInfo): BlockMap {
  const key = openKey(handle, info);
  const known = maps.get(handle);
  if (known?.key === key) return known.map;
  const map = shallowReactive<BlockMap>({
    table: new ExtentTable(),
    version: 0,
    mapped: 0,
    done: false,
    cut: false,
    error: null,
  });
  maps.set(handle, { key, map });
  void load(handle, map);
  return map;
}

/** Frees the maps of images that are no longer attached. */
export function keepMaps(handles: ImageHandle[]): void {
  for (const handle of maps.keys()) if (!handles.includes(handle)) maps.delete(handle);
}

async function load(handle: ImageHandle, map: BlockMap): Promise<void> {
  try {
    let next: number | null = 0;
    while (next !== null && maps.get(handle)?.map === map) {
      const page: { extents: Parameters<ExtentTable['push']>[0]; next: number | null } = await platter.call(
        'images.map',
        handle,
        next,
        PAGE,
      );
      map.table.push(page.extents);
      map.cut = map.table.count > MOST;
      next = map.cut ? null : page.next;
      map.mapped = map.table.end;
      map.version += 1;
    }
  } catch (error) {
    map.error = asPlainError(error);
  }
  map.done = true;
}
