/** A request's tint: the same through all fourteen stations, in the rings, the list and the timeline. */

/** How many tints there are; `tints.css` has a colour for each. */
export const TINTS = 8;

/** Which tint the request has; neighbours differ. */
export function tintIndex(request: number): number {
  return request % TINTS;
}

/** The tint as a CSS colour. */
export function tint(request: number): string {
  return `var(--tint-${tintIndex(request)})`;
}
