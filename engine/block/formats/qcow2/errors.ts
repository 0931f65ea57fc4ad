/** What can be wrong with a qcow2 image, as errors that name the field and its byte. */
import { PlatterError } from '../../../errors.ts';

/** A header field with a value that cannot be. */
export function badField(
  field: string,
  offset: number,
  value: string | number,
  expected: string,
): PlatterError {
  return new PlatterError(
    'qcow2.bad-field',
    `The qcow2 header's ${field} (byte ${offset}) is ${value}: it must be ${expected}`,
    { field, offset, value: String(value), expected },
  );
}

/** A table that reaches past the end of the file. */
export function truncated(what: string, offset: number, end: number, fileSize: number): PlatterError {
  return new PlatterError(
    'qcow2.truncated',
    `The ${what} at byte ${offset} should reach to byte ${end}, but the file ends at ${fileSize}`,
    {
      field: what,
      offset,
      value: String(fileSize),
      expected: `at least ${end} bytes`,
      hint: 'The file is truncated: get a complete copy.',
    },
  );
}

/** A table entry that contradicts the format. `offset` is the entry's byte in the file. */
export function corruptEntry(image: string, table: string, offset: number, problem: string): PlatterError {
  return new PlatterError(
    'qcow2.corrupt-entry',
    `The ${table} entry at byte ${offset} of "${image}" ${problem}`,
    {
      image,
      field: `${table} entry`,
      offset,
      hint: 'Check the image; a copy of it can be repaired.',
    },
  );
}
