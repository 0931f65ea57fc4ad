/**
 * Passphrases on their way to main: an argument of its own of the one call that needs them, never a member of a request. So they are in
 * no row, no history, no command, no event.
 */
import * as v from 'valibot';

export const passphraseSchema = v.pipe(v.string(), v.minLength(1), v.maxLength(512));

export const jobSecretsSchema = v.strictObject({
  /** Of the encrypted image that is made. */
  target: v.optional(passphraseSchema),
  /** The one that `amend` adds. */
  added: v.optional(passphraseSchema),
  /** The one that `amend` erases. */
  erased: v.optional(passphraseSchema),
});
export type JobSecrets = v.InferOutput<typeof jobSecretsSchema>;
