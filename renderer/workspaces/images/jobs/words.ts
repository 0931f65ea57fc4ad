/** Jobs in words: how far, how long, what came of it. */
import type { JobProgress, JobRequest, JobRow } from '#contract/jobs.ts';
import { t } from '../../../i18n/index.ts';
import { formatBytes, formatHex } from '../../../lib/format.ts';

/** `8 s`, `3 min 20 s`, `1 h 05 min`. @param seconds rounded up, so that it never says 0 while something is left */
export function durationText(seconds: number): string {
  const whole = Math.ceil(seconds);
  if (whole < 60) return t('jobs.time.s', { s: whole });
  const two = (value: number) => String(value).padStart(2, '0');
  if (whole < 3600) return t('jobs.time.min', { m: Math.floor(whole / 60), s: two(whole % 60) });
  return t('jobs.time.h', { h: Math.floor(whole / 3600), m: two(Math.floor((whole % 3600) / 60)) });
}

/** How long a past job took, in seconds with one decimal below ten. */
export function tookText(milliseconds: number): string {
  return milliseconds < 10_000
    ? t('jobs.time.s', { s: (milliseconds / 1000).toFixed(1) })
    : durationText(milliseconds / 1000);
}

/** `62 %`, speed and time left, as far as they are known. */
export function progressWords(row: JobRow): string[] {
  if (row.state === 'cancelling') return [t('jobs.state.cancelling')];
  if (row.silent === true) return [t('jobs.state.silent')];
  const { progress } = row;
  if (progress === undefined || progress.total === 0) return [t('jobs.state.running')];
  return [percent(progress), t('jobs.progress.of', amounts(progress)), ...rest(progress)];
}

/** The same where there is less room. */
export function progressShort(row: JobRow): string {
  const words = progressWords(row);
  return (words.length > 1 ? [words[0], ...words.slice(2)] : words).join(' · ');
}

function percent({ done, total }: JobProgress): string {
  return `${Math.floor((done / total) * 100)} %`;
}

function amounts({ done, total }: JobProgress): Record<string, string> {
  return { done: formatBytes(done), total: formatBytes(total) };
}

function rest({ done, total, speed, remaining }: JobProgress): string[] {
  if (done >= total) return [t('jobs.progress.finishing')];
  if (speed === 0 || remaining === null) return [];
  return [`${formatBytes(Math.round(speed))}/s`, t('jobs.progress.left', { time: durationText(remaining) })];
}

/** What a job found or made, in one sentence. */
export function resultText(row: JobRow): string {
  const { result, request } = row;
  if (result === undefined) return '';
  switch (result.kind) {
    case 'file':
      return t('jobs.result.file', {
        name: row.names['target' in request ? request.target : ''] ?? '',
        size: formatBytes(result.actual ?? result.size),
      });
    case 'size':
      return t('jobs.result.size', { before: formatBytes(result.before), after: formatBytes(result.after) });
    case 'check': {
      const { corruptions, leaks, checkErrors } = result.counts;
      const found = corruptions + leaks + checkErrors;
      const fixed = (result.fixed?.corruptions ?? 0) + (result.fixed?.leaks ?? 0);
      if (fixed > 0) return t(found === 0 ? 'jobs.result.repaired' : 'jobs.result.partly', { fixed, found });
      if (found === 0) return t('jobs.result.sound');
      return t('jobs.result.unsound', { corruptions: corruptions + checkErrors, leaks });
    }
    case 'compare':
      return t(`jobs.result.compare.${result.verdict}`, { offset: formatHex(result.offset ?? 0) });
    case 'measure':
      return t('jobs.result.measure', {
        required: formatBytes(result.required),
        full: formatBytes(result.full),
      });
    case 'checksum':
      return result.digest;
    default:
      return doneText(request);
  }
}

function doneText(request: JobRequest): string {
  const { kind } = request;
  if (kind === 'amend' && request.keys !== undefined) return t(`jobs.result.keys.${request.keys.state}`);
  if (kind !== 'snapshot' && kind !== 'bitmap') return t(`jobs.result.done.${kind}`);
  return t(`jobs.result.done.${kind}.${request.action}`, { name: request.name });
}

/** What a job does, in one or two words. */
export function titleText({ request }: JobRow): string {
  const { kind } = request;
  if (kind === 'amend' && request.keys !== undefined) return t(`jobs.keys.${request.keys.state}.run`);
  if (kind === 'snapshot' || kind === 'bitmap') return t(`jobs.${kind}.${request.action}.run`);
  if (kind === 'check') return t(request.repair === 'none' ? 'jobs.run.check' : 'jobs.run.repair');
  return t(`jobs.kind.${kind}`);
}

/** The files of a job: `disk.qcow2`, `disk.qcow2 → disk.img`. */
export function filesText({ request, names }: JobRow): string {
  const parts: (string | null | undefined)[] = [
    'image' in request ? request.image : undefined,
    'other' in request ? request.other : undefined,
    'target' in request ? request.target : undefined,
  ];
  return parts
    .flatMap((handle) => (handle === undefined || handle === null ? [] : [names[handle] ?? handle]))
    .join(request.kind === 'compare' ? ' ↔ ' : ' → ');
}
