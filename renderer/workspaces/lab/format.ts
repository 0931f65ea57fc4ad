/** The lab's figures as short text in tabular digits; widths that do not jump while they count. */

import { formatCount } from '../../lib/format.ts';

/** `0`, `4.7`, `47`, `1.2 k`, `18.2 k`, `3.4 M`: at most six characters. */
export function shortCount(value: number): string {
  if (value < 999.5) return value < 9.95 && value % 1 !== 0 ? value.toFixed(1) : String(Math.round(value));
  if (value < 999_500) return scaled(value / 1e3, 'k');
  if (value < 999_500_000) return scaled(value / 1e6, 'M');
  return scaled(value / 1e9, 'G');
}

function scaled(value: number, unit: string): string {
  return `${value.toFixed(value < 99.95 ? 1 : 0)} ${unit}`;
}

/** Nanoseconds with a unit that fits: `840 ns`, `12.4 µs`, `3.1 ms`, `2.05 s`. */
export function duration(ns: number): string {
  if (ns < 999.5) return `${Math.round(ns)} ns`;
  if (ns < 999_950) return `${(ns / 1e3).toFixed(1)} µs`;
  if (ns < 999_950_000) return `${(ns / 1e6).toFixed(1)} ms`;
  return `${(ns / 1e9).toFixed(2)} s`;
}

/** Nanoseconds as microseconds with one digit behind the point, grouped: `2 412.3`. For columns, whose header has the unit. */
export function micros(ns: number): string {
  const tenths = Math.abs(Math.round(ns / 100));
  return `${ns < 0 && tenths > 0 ? '−' : ''}${formatCount(Math.floor(tenths / 10))}.${tenths % 10}`;
}

/** How many a request, with two digits behind the point; a dash while there is no request. */
export function perRequest(count: number, requests: number): string {
  return requests === 0 ? '–' : (count / requests).toFixed(2);
}
