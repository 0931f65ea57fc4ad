/** Another backing file for a QED (QEMU: bdrv_qed_change_backing_file): features and name in one write of the header. */
import { PlatterError } from '../../../errors.ts';
import { wait, type Steps } from '../../../maybe.ts';
import type { QedDriver } from './driver.ts';
import { BACKING_FILE, BACKING_RAW, qedHeader } from './header.ts';

/** `name` null: none. Throws `qed.no-header-room`. */
export function* changeQedBacking(
  driver: QedDriver,
  name: string | null,
  format: string | null,
): Steps<void> {
  const { header } = driver;
  const bytes = new TextEncoder().encode(name ?? '');
  const room = Math.min(1023, header.header_size * header.cluster_size - qedHeader.size);
  if (bytes.length > room) {
    throw new PlatterError(
      'qed.no-header-room',
      `The name of the backing file does not fit into the header of "${driver.storage.name}"`,
      {
        image: driver.storage.name,
        field: 'backing_filename_size',
        value: `${bytes.length} bytes`,
        expected: `at most ${room} bytes`,
        hint: 'Give a shorter name.',
      },
    );
  }
  let features = header.features & ~(BACKING_FILE | BACKING_RAW);
  if (name !== null) features |= BACKING_FILE | (format === 'raw' ? BACKING_RAW : 0n);
  const changed = {
    ...header,
    features,
    backing_filename_offset: name === null ? 0 : qedHeader.size,
    backing_filename_size: bytes.length,
  };
  const record = new Uint8Array(qedHeader.size + bytes.length);
  record.set(qedHeader.encode(changed));
  record.set(bytes, qedHeader.size);
  yield* wait(driver.storage.flush());
  yield* wait(driver.storage.write(0, record));
  yield* wait(driver.storage.flush());
  driver.image.header = changed;
}
