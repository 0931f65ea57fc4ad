/** What is looked at in each image: tab, field, place. Kept for as long as the image is attached. */
import { reactive } from 'vue';
import type { PlainError } from '#contract/error.ts';
import type { CheckResult, ImageHandle, ImageInfo } from '#contract/images.ts';
import type { ListedKind } from './jobs/kinds.ts';
import { useImagesStore } from '../../stores/images.ts';

export const IMAGE_TABS = [
  'overview',
  'map',
  'structure',
  'hex',
  'chain',
  'snapshots',
  'check',
  'jobs',
] as const;
export type ImageTab = (typeof IMAGE_TABS)[number];

export interface ImageViewState {
  tab: ImageTab;
  /** Key of the header field selected in the overview. */
  field: string | null;
  /** The guest offset under the cursor of the map. */
  guestOffset: number;
  /** The node selected in the structure, and the index of the field selected in it (-1: none). */
  structure: { path: string; field: number };
  /** The zoom of the map: bytes of one cell; 0 until it is known. */
  cellBytes: number;
  /** First guest byte shown in the field of cells. */
  mapTop: number;
  side: 'guest' | 'host';
  /** The byte under the cursor of the hex view, for each side. */
  cursor: { guest: number; host: number };
  /** The chosen form of the jobs. */
  job: ListedKind;
  check: { running: boolean; result: CheckResult | null; error: PlainError | null };
}

const states = new Map<ImageHandle, ImageViewState>();

export function viewOf(handle: ImageHandle): ImageViewState {
  let state = states.get(handle);
  if (state === undefined) {
    state = reactive<ImageViewState>({
      tab: 'overview',
      field: null,
      guestOffset: 0,
      structure: { path: '', field: -1 },
      cellBytes: 0,
      mapTop: 0,
      side: 'guest',
      cursor: { guest: 0, host: 0 },
      job: 'convert',
      check: { running: false, result: null, error: null },
    });
    states.set(handle, state);
  }
  return state;
}

export function isImageTab(value: string | undefined): value is ImageTab {
  return (IMAGE_TABS as readonly (string | undefined)[]).includes(value);
}

/** Names one opening of an image: another after a reopen, or when what the image says of itself has changed. */
export function openKey(handle: ImageHandle, info: ImageInfo): string {
  return `${useImagesStore().openingOf(handle)} ${JSON.stringify(info)}`;
}
