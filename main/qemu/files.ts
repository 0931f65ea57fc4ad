/** What the trial may know of the files that a line names: regular ones with an absolute path, judged by an image process. */
import { realpathSync, statSync } from 'node:fs';
import { isAbsolute } from 'node:path';
import type { ImageInfo } from '#contract/images.ts';
import type { GateRequest } from '#engine/block/gate.ts';
import type { FileFacts } from '#engine/qemu/try/types.ts';

/** Opens an image in a process of its own and tells what it is; `allow` is asked for every file that it names. */
export type Inspect = (path: string, allow: (request: GateRequest) => boolean) => Promise<ImageInfo>;

/** Files that are looked at for one line; the rest are taken for missing. */
const MOST_FILES = 32;

/** Facts by the name in the line. A relative name has no folder here and is missing. */
export async function factsOf(names: readonly string[], inspect: Inspect): Promise<Map<string, FileFacts>> {
  const facts = new Map<string, FileFacts>();
  for (const name of names.slice(0, MOST_FILES)) {
    const found = await factsOfFile(name, inspect);
    if (found !== undefined) facts.set(name, found);
  }
  return facts;
}

/** Undefined when there is no regular file of that name. */
export async function factsOfFile(name: string, inspect: Inspect): Promise<FileFacts | undefined> {
  if (!isAbsolute(name) || !isRegular(name)) return undefined;
  const path = realpathSync(name);
  try {
    // A device, a pipe or a server among what the image names is never opened, here or by QEMU.
    const info = await inspect(path, (request) => isRegular(request.resolved) || !exists(request.resolved));
    const facts = { path, format: info.format, virtualSize: info.virtualSize };
    return staysLocal(info) ? facts : { ...facts, standIn: 'image-references' };
  } catch {
    return { path, format: 'raw', virtualSize: 64 * 1024 * 1024, standIn: 'image-unreadable' };
  }
}

/** Nothing in the chain was refused at the gate. A backing file that is missing is for QEMU to say. */
function staysLocal(info: ImageInfo): boolean {
  if (info.backingError?.code.startsWith('gate.') === true) return false;
  return info.backing === undefined || staysLocal(info.backing);
}

function isRegular(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isFile() === true;
}

function exists(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false }) !== undefined;
}
