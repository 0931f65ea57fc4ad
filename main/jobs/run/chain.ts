/** Jobs on an overlay and what it rests on. */
import type { Gate } from '#engine/block/gate.ts';
import { commitImage } from '#engine/block/jobs/commit.ts';
import { rebaseImage } from '#engine/block/jobs/rebase.ts';
import { realPath } from '#engine/block/references.ts';
import type { Runner } from './tools.ts';

export const runCommit: Runner<'commit'> = async (request, tools) => {
  const { signal, onProgress, secret } = tools;
  const gate = tools.gate(request.image);
  const keep = !request.empty;
  await commitImage(tools.path(request.image), { gate, secret, keep, signal, onProgress });
  return { kind: 'done' };
};

export const runRebase: Runner<'rebase'> = async (request, tools) => {
  const { backing, backingFormat, unsafe } = request;
  const { signal, onProgress, secret } = tools;
  await rebaseImage(tools.path(request.image), {
    gate: allowingToo(tools.gate(request.image), backing === null ? undefined : tools.path(backing)),
    backing: backing === null ? '' : tools.reference(backing),
    backingFormat: backing === null ? undefined : backingFormat,
    unsafe,
    secret,
    signal,
    onProgress,
  });
  return { kind: 'done' };
};

/** The person chose that file: it need not be asked for. */
function allowingToo(gate: Gate, chosen: string | undefined): Gate {
  const path = chosen === undefined ? undefined : realPath(chosen);
  return { allow: (request) => request.resolved === path || gate.allow(request) };
}
