/**
 * The open work on disk: the page's session with the paths behind its handles, since handles mean nothing in the next run.
 */
import * as v from 'valibot';
import { sessionSchema, type Session } from '#contract/settings.ts';

export const openWorkSchema = v.object({
  session: v.optional(sessionSchema, {}),
  /** Attached files in their order, under the handles that `session` knows them by. */
  files: v.optional(v.array(v.object({ handle: v.string(), path: v.string() })), []),
});
export type OpenWork = v.InferOutput<typeof openWorkSchema>;

/**
 * The session with the handles of this run. What was bound to a file that is not attached any more is left out.
 * @param handles new handle by old one
 */
export function withNewHandles(session: Session, handles: ReadonlyMap<string, string>): Session {
  const selected = session.selectedImage;
  return {
    ...session,
    bindings: session.bindings.flatMap((binding) => {
      const image = handles.get(binding.image);
      return image === undefined ? [] : [{ ...binding, image }];
    }),
    selectedImage: selected === null ? null : (handles.get(selected) ?? null),
  };
}
