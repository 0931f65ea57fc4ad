/** Cylinders, heads and sectors of a VHD (specification, appendix "CHS Calculation"; QEMU `calculate_geometry`). */

export interface Geometry {
  cyls: number;
  heads: number;
  /** Sectors per track. */
  secs: number;
}

/** The largest geometry of all, in sectors; an image that has it means its `current_size` instead. */
export const MAX_GEOMETRY = 65535 * 16 * 255;
export const LARGEST: Geometry = { cyls: 65535, heads: 16, secs: 255 };

/** The geometry for a disk of `sectors`; it may hold a little less. */
export function geometryFor(sectors: number): Geometry {
  const total = Math.min(sectors, MAX_GEOMETRY);
  if (total >= 65535 * 16 * 63) {
    return { cyls: Math.floor(Math.floor(total / 255) / 16), heads: 16, secs: 255 };
  }
  let secs = 17;
  let tracks = Math.floor(total / secs);
  let heads = Math.max(4, Math.ceil(tracks / 1024));
  if (tracks >= heads * 1024 || heads > 16) {
    secs = 31;
    heads = 16;
    tracks = Math.floor(total / secs);
  }
  if (tracks >= heads * 1024) {
    secs = 63;
    heads = 16;
    tracks = Math.floor(total / secs);
  }
  return { cyls: Math.floor(tracks / heads), heads, secs };
}

/** The smallest geometry that holds `sectors`: QEMU asks for more and more until it fits, so that nothing is cut off. */
export function roundedGeometry(sectors: number): Geometry {
  const wanted = Math.min(MAX_GEOMETRY, sectors);
  let geometry: Geometry = { cyls: 0, heads: 0, secs: 0 };
  for (let more = 0; wanted > sectorsOf(geometry); more++) geometry = geometryFor(wanted + more);
  return geometry;
}

export function sectorsOf(geometry: Geometry): number {
  return geometry.cyls * geometry.heads * geometry.secs;
}
