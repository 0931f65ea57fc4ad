/** All back ends of a line for the trial: which graphs are opened for reading, which get empty files, what the devices plug into. */
import type { CommandLine, Option } from '../model.ts';
import type { Drive } from '../model/drives.ts';
import { parseFilename } from '../model/filename.ts';
import { readBool } from '../model/values.ts';
import { storageModel } from '../storage-model.ts';
import { tagValues } from '../schema/schema.ts';
import { finishBackEnd, readBackEnd, type BackEnd, type Workshop } from './block.ts';
import { optionText, type Changes } from './changes.ts';
import { Images, isUnknownProtocol, type Purpose } from './images.ts';
import type { FileFacts, MadeImage, TrialContext, TrialWords } from './types.ts';
import type { Words } from './words.ts';

export interface PlannedImages {
  made: MadeImage[];
  /** What stands in QEMU's words → what stands in the line. */
  aliases: Map<string, string>;
  /** Words of `-hda`, `-cdrom`, …; and of images without an option. */
  short: Map<Option, string[]>;
  positional: TrialWords[];
  /** Options that the trial adds at the end. */
  extra: string[][];
  /** Node-name in the line → the writable node over it that devices get instead. */
  overlays: Map<string, string>;
  /** Drives and nodes over an empty file. */
  standIns: Set<string>;
}

/** A member that refers to another node by its name. */
const CHILD = /(?:^|\.)(?:file|backing|data-file|image|test|raw|log|target|header|children\.\d+)$/;

export function planImages(
  line: CommandLine,
  lists: ReadonlyMap<Option, Words>,
  context: TrialContext,
  changes: Changes,
): PlannedImages {
  const model = storageModel(line);
  const images = new Images(context, usesOf(line, context));
  const shop: Workshop = { images, changes, schema: context.schema };
  const plan: PlannedImages = {
    made: [],
    aliases: images.aliases,
    short: new Map(),
    positional: [],
    extra: [],
    overlays: new Map(),
    standIns: new Set(),
  };
  let short = false;
  for (const drive of model.drives) {
    const words = lists.get(drive.option);
    if (drive.option.name === 'drive' && words !== undefined) longDrive(drive, words, plan, shop, context);
    else short = shortDrive(drive, plan, shop, context) || short;
  }
  nodes(line, lists, plan, shop, context);
  if (short && !model.machine.snapshot) {
    plan.extra.push(['-snapshot']);
    for (const drive of model.drives) {
      const words = lists.get(drive.option);
      if (drive.option.name === 'drive' && words?.get('snapshot') === undefined)
        words?.set('snapshot', 'off');
    }
  }
  plan.made = [...images.made.values()];
  return plan;
}

function purposeOf(drive: Drive): Purpose {
  return drive.if === 'floppy' ? 'floppy' : drive.if === 'pflash' ? 'pflash' : 'disk';
}

function longDrive(
  drive: Drive,
  words: Words,
  plan: PlannedImages,
  shop: Workshop,
  context: TrialContext,
): void {
  const end = readBackEnd(words, shop, context.bound(drive.id), purposeOf(drive));
  // One that is only read anyway needs no file for writes, and QEMU's answer to that stays what it is.
  const reads = readBool((words.get('readonly') ?? words.get('read-only'))?.value) === true;
  finishBackEnd(end, end.simple && end.leaves.length > 0, shop);
  if (reads && end.simple && end.leaves.length > 0) words.set('snapshot', 'off');
  else if (
    end.simple &&
    end.leaves.length > 0 &&
    readBool(drive.tree.children.get('snapshot')?.param?.value) !== true
  )
    shop.changes.add(drive.span, optionText(drive.option), 'snapshot', 'snapshot=on');
  if (end.leaves.some((leaf) => !leaf.behind.real)) plan.standIns.add(drive.id);
}

/** `-hda` and its like: the name alone is replaced, and `-snapshot` sees to the writes. True when it needs that. */
function shortDrive(drive: Drive, plan: PlannedImages, shop: Workshop, context: TrialContext): boolean {
  const { option } = drive;
  const name = drive.file ?? '';
  let file = name;
  let snapshot = false;
  if (name !== '' && !isUnknownProtocol(name, tagValues(shop.schema, 'BlockdevOptions'))) {
    const behind = shop.images.behind(name, context.bound(drive.id), undefined, purposeOf(drive));
    file = behind.path;
    snapshot = true;
    if (behind.reason !== undefined) {
      plan.standIns.add(drive.id);
      shop.changes.add(option.argumentSpan, name, behind.reason, undefined, {
        file: name,
        format: behind.format,
      });
    } else shop.changes.add(drive.span, optionText(option), 'snapshot', '-snapshot');
  }
  const bare = option.nameSpan.start === option.nameSpan.end;
  if (bare) plan.positional.push({ words: [file], span: option.span });
  else plan.short.set(option, [`-${option.name}`, file]);
  return snapshot;
}

/** Every `-blockdev`, by graphs that hang together: one is opened for reading as a whole or not at all. */
function nodes(
  line: CommandLine,
  lists: ReadonlyMap<Option, Words>,
  plan: PlannedImages,
  shop: Workshop,
  context: TrialContext,
): void {
  const options = line.options.filter((o) => o.name === 'blockdev' && o.argument !== undefined);
  const all = options.map((option) => lists.get(option)).filter((w) => w !== undefined);
  const parents = new Map<string, Words>();
  for (const words of all)
    for (const param of words.params) if (CHILD.test(param.key)) parents.set(param.value, words);
  // A node with two users has QEMU's permissions to obey, which differ where nobody may write.
  const users = new Map<string, number>();
  const shared = (words: Words): boolean => (users.get(nameOf(words)) ?? 0) > 1;
  const count = (name: string): void => void users.set(name, (users.get(name) ?? 0) + 1);
  for (const words of all) for (const param of words.params) if (CHILD.test(param.key)) count(param.value);
  for (const device of storageModel(line).devices) if (device.drive !== undefined) count(device.drive.value);
  const nameOf = (words: Words): string => words.get('node-name')?.value ?? '';
  const above = (words: Words): Words[] => {
    const chain: Words[] = [];
    for (
      let at = parents.get(nameOf(words));
      at !== undefined && !chain.includes(at);
      at = parents.get(nameOf(at))
    )
      chain.push(at);
    return chain;
  };
  const ends = all.map((words) => {
    const over = above(words);
    const bound = [words, ...over].map((w) => context.bound(nameOf(w))).find((b) => b !== undefined);
    const format = over.map((w) => w.get('driver')?.value).find((d) => d !== undefined && d !== 'throttle');
    return { end: readBackEnd(words, shop, bound, 'disk', format), top: over.at(-1) ?? words, bound };
  });
  const contended = all.some(shared);
  const reading = (top: Words): boolean => {
    const group = ends.filter((one) => one.top === top);
    return (
      !contended && group.every((one) => one.end.simple) && group.some((one) => one.end.leaves.length > 0)
    );
  };
  for (const { end, top } of ends) {
    const group = ends.filter((one) => one.top === top);
    const simple = reading(top);
    const writable = readBool(top.get('read-only')?.value) !== true;
    if (end.words === top) topNode(end, simple, writable, sizeOf(group.map((g) => g.bound)), plan, shop);
    if (!simple) plan.standIns.add(nameOf(end.words));
  }
  for (const { end, top } of ends) {
    finishBackEnd(end, reading(top), shop);
  }
}

function sizeOf(facts: (FileFacts | undefined)[]): number {
  return facts.find((f) => f !== undefined)?.virtualSize ?? 64 * 1024 * 1024;
}

/** A node that devices plug into and may write to gets a writable one over it. */
function topNode(
  end: BackEnd,
  simple: boolean,
  writable: boolean,
  size: number,
  plan: PlannedImages,
  shop: Workshop,
): void {
  const name = end.words.get('node-name')?.value;
  if (!simple || !writable || name === undefined || name.startsWith('#')) return;
  const over = `platter-${String(plan.overlays.size)}`;
  plan.overlays.set(name, over);
  plan.aliases.set(over, name);
  const path = shop.images.overlay(over, Math.max(512, Math.ceil(size / 512) * 512));
  plan.aliases.set(path, name);
  plan.extra.push([
    '-blockdev',
    JSON.stringify({
      driver: 'qcow2',
      'node-name': over,
      file: { driver: 'file', filename: path },
      backing: name,
    }),
  ]);
  shop.changes.add(
    end.words.option.span,
    optionText(end.words.option),
    'read-only-node',
    `read-only=on, ${name}`,
  );
}

/** How many places of the line lead to each file. */
function usesOf(line: CommandLine, context: TrialContext): Map<string, number> {
  const uses = new Map<string, number>();
  const model = storageModel(line);
  const count = (name: string | undefined, bound: FileFacts | undefined): void => {
    if (name === undefined && bound === undefined) return;
    const { driver, label } = parseFilename(name ?? '');
    const path = (
      bound ?? (driver === 'file' && name?.startsWith('json:') !== true ? context.file(label) : undefined)
    )?.path;
    if (path !== undefined) uses.set(path, (uses.get(path) ?? 0) + 1);
  };
  for (const drive of model.drives) count(drive.file, context.bound(drive.id));
  for (const option of line.options) {
    if (option.name !== 'blockdev') continue;
    for (const param of option.params) if (/(?:^|\.)filename$/.test(param.key)) count(param.value, undefined);
  }
  return uses;
}
