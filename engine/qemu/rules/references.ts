/** Who names whom: which drives and nodes are used, and what a wrong name was likely meant to be. */
import type { CommandLine, Param } from '../model.ts';
import { nearest } from '../parse/nearest.ts';
import { driveOf, type BlockNode, type Device, type Drive, type StorageModel } from '../storage-model.ts';

export interface DriveReference {
  device: Device;
  param: Param;
  target: Drive | BlockNode | undefined;
}

const cache = new WeakMap<StorageModel, DriveReference[]>();

/** Every `drive=` of a `-device`, with what it names. Values with `$variables` are left out. */
export function driveReferences(model: StorageModel): DriveReference[] {
  let found = cache.get(model);
  if (found === undefined) {
    found = [];
    for (const device of model.devices) {
      if (device.drive === undefined || device.drive.variable === true) continue;
      found.push({ device, param: device.drive, target: driveOf(model, device) });
    }
    cache.set(model, found);
  }
  return found;
}

/** Whether anything in the line beside the drive's own option names it. */
export function isMentioned(model: StorageModel, name: string, own: Drive['option']): boolean {
  return (
    mentions(model)
      .get(name)
      ?.some((option) => option !== own) ?? false
  );
}

const mentionCache = new WeakMap<StorageModel, Map<string, Drive['option'][]>>();

function mentions(model: StorageModel): Map<string, Drive['option'][]> {
  const known = mentionCache.get(model);
  if (known !== undefined) return known;
  const map = new Map<string, Drive['option'][]>();
  for (const option of model.line.options) {
    for (const param of option.params) {
      if (param.key === 'id' || param.key === 'node-name') continue;
      const list = map.get(param.value);
      if (list === undefined) map.set(param.value, [option]);
      else if (list.at(-1) !== option) list.push(option);
    }
  }
  mentionCache.set(model, map);
  return map;
}

/** Whether QEMU sees more options than the text has: a `-readconfig` that was not read, a `$variable` where options stand. */
export function hasUnknownParts({ options, variables, text }: CommandLine): boolean {
  if (options.some((o) => o.name === 'readconfig' && o.read !== true)) return true;
  return variables.some(
    (v) =>
      /(?:^|[\s\n"])$/.test(text.slice(0, v.start).slice(-1)) &&
      !options.some(
        (o) => o.argumentSpan !== undefined && o.argumentSpan.start <= v.start && v.end <= o.argumentSpan.end,
      ),
  );
}

/** `if=none` drives and top block nodes that nothing uses. */
export function unattached(model: StorageModel): (Drive | BlockNode)[] {
  const drives = model.drives.filter(
    (d) => d.if === 'none' && !isMentioned(model, d.id, d.option) && !nodeUsed(model, d.root),
  );
  const nodes = model.blockdevs.filter((n) => n.nodeName !== undefined && !nodeUsed(model, n));
  return [...drives, ...nodes];
}

function nodeUsed(model: StorageModel, node: BlockNode): boolean {
  return node.nodeName !== undefined && isMentioned(model, node.nodeName, node.option);
}

/** The name by which `drive=` reaches it. */
export function nameOf(target: Drive | BlockNode): string {
  return 'root' in target ? target.id : (target.nodeName ?? '');
}

const suggestionCache = new WeakMap<StorageModel, Map<DriveReference, string>>();

/**
 * For every `drive=` that names nothing, what was likely meant: the nearest free drive, the nearest drive, or the only free
 * drive for the only such device.
 */
export function suggestions(model: StorageModel): Map<DriveReference, string> {
  const known = suggestionCache.get(model);
  if (known !== undefined) return known;
  const made = new Map<DriveReference, string>();
  suggestionCache.set(model, made);
  const dangling = driveReferences(model).filter((r) => r.target === undefined);
  const free = new Set(unattached(model).map(nameOf));
  for (const reference of dangling) {
    const near = nearest(reference.param.value, free);
    if (near !== undefined) {
      made.set(reference, near);
      free.delete(near);
    }
  }
  const all = [...model.driveById.keys(), ...model.nodeByName.keys()];
  for (const reference of dangling) {
    if (made.has(reference)) continue;
    const only = dangling.length === 1 && free.size === 1 ? [...free][0] : undefined;
    const near = only ?? (free.size > 0 ? undefined : nearest(reference.param.value, all));
    if (near !== undefined) made.set(reference, near);
  }
  return made;
}
