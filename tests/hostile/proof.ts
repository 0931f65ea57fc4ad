/** Where a line of hostile inputs is proved. */
import { readFileSync } from 'node:fs';

/** A file, and words of a test's name in it. */
export type Proof = readonly [file: string, test: string];

export const exists = ([file, test]: Proof): boolean => readFileSync(file, 'utf8').includes(test);
