/** The fourteen stations arranged as a teacher draws them: one row a world, down on the left, up on the right. */
import { STATIONS, type Station, type World } from '#engine/trace/stations.ts';

export interface WorldRow {
  world: World;
  /** In the order in which a request passes them, from the top of the row to its bottom. */
  down: Station[];
  /** From the top of the row to its bottom: a request passes them from the bottom up. */
  up: Station[];
}

export function worldRows(stations: readonly Station[] = STATIONS): WorldRow[] {
  const rows: WorldRow[] = [];
  for (const station of stations) {
    let row = rows.find((one) => one.world === station.world);
    if (row === undefined) {
      row = { world: station.world, down: [], up: [] };
      rows.push(row);
    }
    if (station.direction === 'down') row.down.push(station);
    else row.up.unshift(station);
  }
  return rows;
}
