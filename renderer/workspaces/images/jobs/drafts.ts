/** What is being filled in: one draft for every image and kind of job, kept while the application runs. */
import { reactive } from 'vue';
import type { AttachedImage } from '#contract/images.ts';
import type { JobAgain, JobId, JobKind, JobOf, JobRequest, TargetFile } from '#contract/jobs.ts';
import type { JobSecrets } from '#contract/secrets.ts';

/** What every form's frame works on. */
export interface DraftState {
  target: TargetFile | null;
  /** The job that was started from it last. */
  job: JobId | null;
  /** Typed, and gone once the job has started. */
  secrets: JobSecrets;
}

export interface Draft<K extends JobKind = JobKind> extends DraftState {
  /** `target` is empty until a destination is chosen. */
  request: JobOf<K>;
}

/** Stands for the image of a draft that belongs to none: a new image. */
export const NO_IMAGE = '';

const drafts = reactive(new Map<string, Draft>());

type Made = { [K in JobKind]: (image: string, about: Partial<AttachedImage>) => JobOf<K> };

const NEW = { target: '', options: {}, overwrite: false, attach: true };

const MAKE: Made = {
  convert: (image, { info }) => ({
    kind: 'convert',
    image,
    format: info?.format === 'qcow2' ? 'raw' : 'qcow2',
    compressed: false,
    ...NEW,
  }),
  create: () => ({ kind: 'create', format: 'qcow2', size: 20 * 2 ** 30, ...NEW }),
  resize: (image, { info }) => ({ kind: 'resize', image, size: info?.virtualSize ?? 0, shrink: false }),
  check: (image) => ({ kind: 'check', image, repair: 'none' }),
  snapshot: (image) => ({ kind: 'snapshot', image, action: 'create', name: '' }),
  bitmap: (image) => ({ kind: 'bitmap', image, action: 'add', name: '' }),
  compare: (image) => ({ kind: 'compare', image, other: '', strict: false }),
  commit: (image) => ({ kind: 'commit', image, empty: true }),
  rebase: (image) => ({ kind: 'rebase', image, backing: null, unsafe: false }),
  amend: (image) => ({ kind: 'amend', image, options: {} }),
  measure: (image) => ({ kind: 'measure', image, format: 'qcow2', options: {} }),
  checksum: (image) => ({ kind: 'checksum', image, algorithm: 'sha256' }),
  copy: (image) => ({ kind: 'copy', image, format: 'raw', bs: 2 ** 20, skip: 0, ...NEW }),
};

const keyOf = (image: string, kind: JobKind, form: string): string => `${kind} ${image} ${form}`;

export function draftOf<K extends JobKind>(
  kind: K,
  image: string,
  about: Partial<AttachedImage> = {},
  /** Where one kind of job has several forms. */
  form = '',
): Draft<K> {
  const key = keyOf(image, kind, form);
  let draft = drafts.get(key);
  if (draft === undefined) {
    // Only a reactive copy may be changed.
    drafts.set(key, {
      request: MAKE[kind](image, about),
      target: null,
      job: null,
      secrets: {},
    });
    draft = drafts.get(key) as Draft;
  }
  return draft as Draft<K>;
}

/** Fills the form with a past job. Whoever lost a file to it once is asked again. */
export function takeAgain({ request, target }: JobAgain): Draft {
  const image = imageOf(request);
  const draft = draftOf(request.kind, image, {}, formOf(request));
  draft.request = 'overwrite' in request ? { ...request, overwrite: false } : request;
  draft.target = target ?? null;
  draft.job = null;
  draft.secrets = {};
  return draft;
}

/** Key slots are amended in a form of their own. */
export const KEYS_FORM = 'keys';
function formOf(request: JobRequest): string {
  return request.kind === 'amend' && request.keys !== undefined ? KEYS_FORM : '';
}

/** The image that a job is about; `NO_IMAGE` for a new one. */
export function imageOf(request: JobRequest): string {
  return 'image' in request ? request.image : NO_IMAGE;
}
