/** What entries of grain directories and grain tables say. Entries are sector numbers. */
import type { SparseLayout } from '../../formats/vmdk/header.ts';
import { hex, type ShownEntry } from '../table.ts';

/** @param guest first byte of the disk that the table maps @param path of the table's node */
export function directoryEntry(sector: number, guest: number, path: string): ShownEntry {
  const value = hex(sector);
  if (sector === 0) return { value, say: { key: 'grain-table-none', params: { guest } } };
  const offset = sector * 512;
  return {
    value,
    say: { key: 'grain-table', params: { guest, offset } },
    links: [
      { to: 'node', path },
      { to: 'host', offset },
    ],
  };
}

export function showGrain(entry: number, guest: number, layout: SparseLayout): ShownEntry {
  const value = hex(entry);
  const here = { to: 'guest', offset: guest } as const;
  if (entry === 0) return { value, say: { key: 'grain-none', params: { guest } }, links: [here] };
  if (entry === 1 && layout.zeroGrain) {
    return { value, say: { key: 'grain-zero', params: { guest } }, links: [here] };
  }
  const offset = entry * 512;
  const key = layout.compressed ? 'grain-compressed' : 'grain-at';
  return { value, say: { key, params: { guest, offset } }, links: [here, { to: 'host', offset }] };
}
