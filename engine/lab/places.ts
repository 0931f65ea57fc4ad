/**
 * Where on their controllers disks come to lie, as QEMU decides it when it makes the devices one after the other: `scsi-id=` and `lun=`
 * (hw/scsi/scsi-bus.c, `scsi_qdev_realize`), the place on an IDE channel (hw/ide/qdev.c, `ide_dev_initfn`).
 */
import { PlatterError } from '../errors.ts';
import { MAX_TARGET } from '../scsi/bus.ts';
import { MAX_LUN } from '../scsi/target.ts';
import type { Properties } from './properties.ts';

/** On a SCSI bus. */
export interface ScsiPlace {
  target: number;
  lun: number;
}
/** On an IDE controller: the channel (or the port of an AHCI controller), and master or slave. */
export interface IdePlace {
  bus: number;
  unit: number;
}

/** One bus of a controller: what lies where, by the name that messages call it. */
type Taken = Map<number, string>;

/** The places of one controller's disks, in the order in which QEMU makes them. */
export class Places {
  readonly #scsi: Taken = new Map();
  readonly #ide: Taken = new Map();

  /** Throws `lab.bad-value`, `lab.place-taken`. */
  scsi(properties: Properties, label: string): ScsiPlace {
    const id = properties.number('scsi-id', { least: 0, most: MAX_TARGET });
    const lun = properties.number('lun', { least: 0, most: MAX_LUN });
    const at = (target: number, unit: number): number => target * (MAX_LUN + 1) + unit;
    const free = (target: number, unit: number): boolean => !this.#scsi.has(at(target, unit));
    let place = { target: id ?? 0, lun: lun ?? 0 };
    if (id === undefined) while (!free(place.target, place.lun)) place.target++;
    else if (lun === undefined) while (!free(place.target, place.lun)) place.lun++;
    if (place.target > MAX_TARGET || place.lun > MAX_LUN || !free(place.target, place.lun)) {
      const value = `scsi-id=${id ?? 0},lun=${place.lun}`;
      const holder = this.#scsi.get(at(id ?? 0, place.lun)) ?? '';
      throw taken(`${label}: ${value}: lun already used by '${holder}'`, 'lun', label, value, holder);
    }
    this.#scsi.set(at(place.target, place.lun), label);
    return place;
  }

  /**
   * `units`: how many a bus has. `fixed`: the place that a drive's own number gives it. Throws `lab.bad-value`, `lab.place-taken`,
   * `lab.no-place`.
   */
  ide(properties: Properties, bus: number, units: number, label: string, fixed?: number): IdePlace {
    const master = this.#ide.has(bus * 2);
    const unit = fixed ?? properties.number('unit', { least: 0, most: 0x7fff_ffff }) ?? (master ? 1 : 0);
    if (unit >= units) {
      throw new PlatterError(
        'lab.no-place',
        `${label}: Can't create IDE unit ${unit}, bus supports only ${units} units`,
        { option: 'unit', value: label, expected: String(units), field: String(unit) },
      );
    }
    const holder = this.#ide.get(bus * 2 + unit);
    if (holder !== undefined) {
      throw taken(`${label}: IDE unit ${unit} is in use`, 'unit', label, `unit=${unit}`, holder);
    }
    this.#ide.set(bus * 2 + unit, label);
    return { bus, unit };
  }
}

function taken(message: string, option: string, value: string, field: string, holder: string): PlatterError {
  return new PlatterError('lab.place-taken', message, { option, value, field, expected: holder });
}
