/** Finding events in the ring: by request, by station, by event. Answers are absolute event numbers. */
import { EVENTS } from './registry.ts';
import type { TraceRing } from './ring.ts';

export interface TraceFilter {
  /** Only events of this request; null or left out for all. */
  requestId?: number | null;
  /** Only these stations (1–14). */
  stations?: ReadonlySet<number>;
  /** Only these event numbers. */
  events?: ReadonlySet<number>;
}

function matcher(trace: TraceRing, filter: TraceFilter): (number: number) => boolean {
  const { requestId, stations, events } = filter;
  return (number) =>
    (requestId === undefined || requestId === null || trace.requestAt(number) === requestId) &&
    (events === undefined || events.has(trace.eventAt(number))) &&
    (stations === undefined || stations.has(EVENTS[trace.eventAt(number)]?.station ?? 0));
}

/**
 * At most `count` matching events, in ascending order: from the absolute number `from` on (moved up to the oldest event held), or
 * the newest ones when `from` is -1.
 */
export function findEvents(
  trace: TraceRing,
  from: number,
  count: number,
  filter: TraceFilter = {},
): number[] {
  const matches = matcher(trace, filter);
  const found: number[] = [];
  if (from < 0) {
    for (let n = trace.total - 1; n >= trace.first && found.length < count; n--) {
      if (matches(n)) found.push(n);
    }
    return found.toReversed();
  }
  for (let n = Math.max(from, trace.first); n < trace.total && found.length < count; n++) {
    if (matches(n)) found.push(n);
  }
  return found;
}

/** All events of one request that the ring still holds, oldest first. */
export function requestHistory(trace: TraceRing, requestId: number): number[] {
  return findEvents(trace, 0, trace.capacity, { requestId });
}

/** The station of the newest event of each of these requests; those of which the ring holds none are missing. */
export function currentStations(trace: TraceRing, requestIds: Iterable<number>): Map<number, number> {
  const wanted = new Set(requestIds);
  const stations = new Map<number, number>();
  for (let n = trace.total - 1; n >= trace.first && stations.size < wanted.size; n--) {
    const id = trace.requestAt(n);
    if (wanted.has(id) && !stations.has(id)) stations.set(id, EVENTS[trace.eventAt(n)]?.station ?? 0);
  }
  return stations;
}
