/** The schema that comes along: Debian 12's QEMU 7.2, x86_64. */
import data from '#resources/schema/qemu-7.2.json' with { type: 'json' };
import type { LintContext } from '../model.ts';
import type { Schema } from './schema.ts';

export const bundledSchema = data as unknown as Schema;

/** The schema that a lint works with: the user's own QEMU's when it was read, else the bundled one. */
export function schemaFor(context: LintContext): Schema {
  return context.schema ?? bundledSchema;
}
