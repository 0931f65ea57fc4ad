/** The fourteen steps of one request: seven on its way down, seven on its way up. Pure data; the screen draws it as it stands. */

/** Who executes a step. */
export type World = 'guest' | 'kvm' | 'qemu' | 'host' | 'hardware';

export interface Station {
  /** 1–14. */
  index: number;
  direction: 'down' | 'up';
  world: World;
  /** Stable name; titles and help stand in `resources/messages/<locale>/trace.json` under `station.<index>`. */
  key: string;
}

const station = (index: number, world: World, key: string): Station => ({
  index,
  direction: index <= 7 ? 'down' : 'up',
  world,
  key,
});

/** In order; `STATIONS[n - 1]` is station `n`. */
export const STATIONS: readonly Station[] = [
  station(1, 'guest', 'program-submit'),
  station(2, 'guest', 'kernel-submit'),
  station(3, 'guest', 'driver'),
  station(4, 'kvm', 'exit'),
  station(5, 'qemu', 'device'),
  station(6, 'host', 'block-layer'),
  station(7, 'hardware', 'hardware-submit'),
  station(8, 'hardware', 'hardware-complete'),
  station(9, 'host', 'host-complete'),
  station(10, 'qemu', 'device-complete'),
  station(11, 'qemu', 'notify'),
  station(12, 'kvm', 'inject'),
  station(13, 'guest', 'interrupt'),
  station(14, 'guest', 'program-complete'),
];
