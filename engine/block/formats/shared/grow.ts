/** What growing an image's disk has in common, whatever the format. */
import { PlatterError } from '../../../errors.ts';
import type { FormatDriver } from '../../format.ts';

/** Throws `resize.cannot-shrink` below `least`, the present size, and `resize.too-large` above `most`. Bytes. */
export function requireGrowth(
  driver: FormatDriver,
  size: number,
  most: number,
  least = driver.virtualSize,
): void {
  const image = driver.storage.name;
  const refuse = (code: string, message: string, expected: string): PlatterError =>
    new PlatterError(code, message, { image, field: 'size', value: String(size), expected });
  if (size < least) {
    const message = `A ${driver.format} image cannot become smaller`;
    throw refuse('resize.cannot-shrink', message, `at least ${least} bytes`);
  }
  if (size > most) {
    throw refuse(
      'resize.too-large',
      `"${image}" cannot have ${size} bytes: its tables reach to ${most}`,
      `at most ${most} bytes`,
    );
  }
  if (driver.backing !== undefined && driver.backing.virtualSize > driver.virtualSize) {
    const message = `What "${image}" does not show of its backing file would come to light behind its old end`;
    throw refuse('resize.backing-longer', message, 'a backing file that is no longer than the disk');
  }
}
