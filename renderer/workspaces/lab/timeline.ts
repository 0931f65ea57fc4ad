/** The timeline's geometry: five lanes, one for each world; a request is a line that goes down through them and up again. */
import type { LabFrame } from '#contract/lab.ts';
import type { World } from '#engine/trace/stations.ts';
import { eventAt, rowCount } from './events.ts';

export const LANES: readonly World[] = ['guest', 'kvm', 'qemu', 'host', 'hardware'];

export interface TimelinePoint {
  /** Event number, time in nanoseconds, lane from the top. */
  number: number;
  time: number;
  lane: number;
  station: number;
  name: string;
}

export interface TimelineRequest {
  id: number;
  points: TimelinePoint[];
}

export interface TimelineView {
  /** Nanoseconds. */
  from: number;
  to: number;
  requests: TimelineRequest[];
}

/** Gathers a frame's rows by request. Events that belong to no request are left out: the list has them. */
export function gather(frame: LabFrame, clock: 'real' | 'model'): TimelineView {
  const requests = new Map<number, TimelineRequest>();
  let from = Number.POSITIVE_INFINITY;
  let to = Number.NEGATIVE_INFINITY;
  for (let i = 0; i < rowCount(frame); i++) {
    const row = eventAt(frame, i);
    if (row.requestId === 0 || row.station === 0) continue;
    const time = clock === 'real' ? row.realNs : row.modelNs;
    from = Math.min(from, time);
    to = Math.max(to, time);
    let request = requests.get(row.requestId);
    if (!request) requests.set(row.requestId, (request = { id: row.requestId, points: [] }));
    request.points.push({
      number: row.number,
      time,
      lane: LANES.indexOf(row.world),
      station: row.station,
      name: row.name,
    });
  }
  return {
    from: requests.size === 0 ? 0 : from,
    to: requests.size === 0 ? 1 : to,
    requests: [...requests.values()],
  };
}

/** A part of the whole, as fractions: what a person has zoomed into. */
export interface Zoom {
  start: number;
  end: number;
}
export const WHOLE: Zoom = { start: 0, end: 1 };

/** Zooms by `factor` around a place (a fraction of the visible part); never outside the whole. */
export function zoomAt(zoom: Zoom, at: number, factor: number): Zoom {
  const length = Math.min(1, Math.max(1e-4, (zoom.end - zoom.start) * factor));
  const centre = zoom.start + at * (zoom.end - zoom.start);
  const start = Math.min(Math.max(0, centre - at * length), 1 - length);
  return { start, end: start + length };
}

/** Moves the visible part by a fraction of itself. */
export function pan(zoom: Zoom, by: number): Zoom {
  const length = zoom.end - zoom.start;
  const start = Math.min(Math.max(0, zoom.start + by * length), 1 - length);
  return { start, end: start + length };
}

/** A round step for an axis with about `most` marks over `span` nanoseconds. */
export function tickStep(span: number, most: number): number {
  const rough = Math.max(1, span / Math.max(1, most));
  const power = 10 ** Math.floor(Math.log10(rough));
  for (const factor of [1, 2, 5]) if (power * factor >= rough) return power * factor;
  return power * 10;
}
