/**
 * A parsed command line as the argument vector of a start that is paused, has no display and leaves this machine as it is. Pure:
 * what is known of files is handed in. The line's own program and whatever stands before it (`sudo`, variables) play no part.
 */
import { compareVersions } from '../model/version.ts';
import { readSet } from '../parse/elsewhere.ts';
import { isGoneOption } from '../rules/changes.ts';
import { isNoGroup } from '../rules/elsewhere.ts';
import type { CommandLine, Option } from '../model.ts';
import { readSize, readNumber } from '../model/values.ts';
import { optionKind } from '../parse/option-table.ts';
import { storageModel } from '../storage-model.ts';
import { Changes, optionText } from './changes.ts';
import { isHarmlessGlobal, trialDevice, trialMachine, trialObject } from './devices.ts';
import { foldSets } from './sets.ts';
import { planImages, type PlannedImages } from './storage.ts';
import { trialNetwork } from './network.ts';
import { HANDLED, HARMLESS, isQuietBackend, reasonLeftOut, USB_DEVICES } from './policy.ts';
import type { TrialContext, TrialPlan, TrialWords } from './types.ts';
import { printParam, Words } from './words.ts';

/** Most memory of the guest's, bytes: a paused guest needs none. */
const MOST_MEMORY = 128 * 1024 * 1024;
/** Longest argument vector, words: a pasted megabyte is no command line. */
export const MOST_OPTIONS = 2000;

/** What every trial begins with. */
const FRAME = ['-S', '-no-user-config', '-display none', '-accel tcg,thread=single', '-qmp stdio'];
const SANDBOX = '-sandbox on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny';

export function planTrial(line: CommandLine, context: TrialContext): TrialPlan {
  const changes = new Changes();
  const lists = new Map<Option, Words>();
  for (const option of line.options) lists.set(option, new Words(option));
  const folded = foldSets(line, lists);
  const images = planImages(line, lists, context, changes);
  const plan: TrialPlan = {
    folder: context.folder,
    argv: [],
    images: images.made,
    changes: changes.list,
    unknown: [],
    aliases: images.aliases,
  };
  for (const words of context.sandbox ? [...FRAME, SANDBOX] : FRAME)
    plan.argv.push({ words: words.split(' ') });
  const shop = { line, lists, context, changes, images, plan };
  for (const option of line.options.slice(0, MOST_OPTIONS)) {
    if (folded.has(option)) continue;
    const words = trialOption(option, lists.get(option) ?? new Words(option), shop);
    if (words === undefined) continue;
    plan.argv.push({ words, span: option.span });
  }
  for (const word of images.positional) if (!word.words[0].includes('\0')) plan.argv.push(word);
  for (const words of images.extra) plan.argv.push({ words });
  return plan;
}

interface Shop {
  line: CommandLine;
  lists: Map<Option, Words>;
  context: TrialContext;
  changes: Changes;
  images: PlannedImages;
  plan: TrialPlan;
}

/** The words for one option, undefined when it stays out. */
function trialOption(option: Option, words: Words, shop: Shop): string[] | undefined {
  const { name } = option;
  const { changes } = shop;
  const kind = optionKind(name);
  if (
    (kind === undefined || isGoneOption(name, shop.context.schema.version)) &&
    !option.name.includes('\0')
  ) {
    shop.plan.unknown.push({ words: plain(option), span: option.span });
    return undefined;
  }
  // An option without its argument is refused by QEMU, and read alone it can do nothing else.
  if (kind !== undefined && kind.style !== 'flag' && option.argument === undefined) return [`-${name}`];
  if (option.json === true && isUnreadable(option, shop.line)) return leaveOut('json');
  if (/\0/.test(option.argument ?? '') || /\0/.test(name)) return leaveOut('control');
  // -device and -object read JSON since 6.2 and 6.0; before that it would be taken for a list.
  if (name !== 'blockdev' && Number.parseFloat(shop.context.schema.version) < 6.2) words.plain = true;
  if (HANDLED.has(name)) return handled(option, words, shop);
  if (!HARMLESS.has(name)) return leaveOut(reasonLeftOut(name));
  switch (name) {
    case 'machine':
    case 'M':
      trialMachine(words, changes);
      return words.params.length === 0 ? undefined : list(words);
    case 'cpu':
      return [`-${name}`, cpu(option, shop)];
    case 'm':
      return list(memory(words, shop));
    case 'boot':
      for (const param of words.remove((p) => p.key === 'splash'))
        changes.add(param.span, printParam(param), 'boot-file');
      return words.params.length === 0 ? undefined : list(words);
    case 'global':
      return isHarmlessGlobal(option) ? plain(option) : leaveOut('property-host');
    case 'set':
      // What it names is not in the line, or has been folded in; other groups hold options of the trial's own.
      return /^(?:drive|device)\./.test(option.argument ?? '') || isRefusedSet(option, shop)
        ? plain(option)
        : leaveOut('option');
    default:
      return plain(option);
  }

  function leaveOut(reason: string): undefined {
    changes.add(option.span, optionText(option), reason, undefined, { option: `-${name}` });
    return undefined;
  }
}

/** A `-set` that QEMU refuses, whatever it names: since 6.1 objects and machines are no such options. */
function isRefusedSet(option: Option, shop: Shop): boolean {
  const group = readSet(option)?.group;
  if (group === undefined) return false;
  const fixed = group === 'object' || group === 'machine';
  return fixed ? compareVersions(shop.context.schema.version, '6.1') >= 0 : isNoGroup(group);
}

function handled(option: Option, words: Words, shop: Shop): string[] | undefined {
  const { changes, context, images } = shop;
  const { name } = option;
  switch (name) {
    case 'drive':
    case 'blockdev':
      return list(words);
    case 'device': {
      const drive = words.get('drive')?.value;
      if (
        /^scsi-(?:block|generic)$/.test(words.get('driver')?.value ?? '') &&
        images.standIns.has(drive ?? '')
      ) {
        changes.add(option.span, optionText(option), 'device-passthrough');
        return undefined;
      }
      const overlay = drive === undefined ? undefined : images.overlays.get(drive);
      if (overlay !== undefined) words.set('drive', overlay);
      const device = trialDevice(words, context.schema, changes);
      return device === undefined ? undefined : list(device);
    }
    case 'object': {
      const object = trialObject(words, context.schema, changes);
      return object === undefined ? undefined : list(object);
    }
    case 'netdev':
    case 'nic':
    case 'net':
    case 'chardev':
    case 'audiodev':
      return list(trialNetwork(words, changes));
    case 'serial':
    case 'parallel':
    case 'debugcon': {
      const argument = option.argument ?? '';
      if (isQuietBackend(argument)) return [`-${name}`, argument];
      changes.add(option.span, optionText(option), 'chardev', 'null');
      return [`-${name}`, 'null'];
    }
    case 'usbdevice':
      if (USB_DEVICES.has(option.argument ?? '')) return plain(option);
      changes.add(option.span, optionText(option), 'device-host', undefined, {
        device: option.argument ?? '',
      });
      return undefined;
    default:
      return images.short.get(option);
  }
}

const list = (words: Words): string[] => [`-${words.option.name}`, words.print()];

function plain(option: Option): string[] {
  return option.argument === undefined ? [`-${option.name}`] : [`-${option.name}`, option.argument];
}

/** The parser could not read the JSON to its end: what QEMU would make of it is not known. */
function isUnreadable(option: Option, line: CommandLine): boolean {
  return line.problems.some(
    (p) => p.rule === 'X05' && p.span.start >= option.span.start && p.span.end <= option.span.end,
  );
}

/** The host's own CPU needs KVM. */
function cpu(option: Option, { changes }: Shop): string {
  const argument = option.argument ?? '';
  if (!/^host(?:,|$)/.test(argument)) return argument;
  const instead = `max${argument.slice('host'.length)}`;
  changes.add(option.argumentSpan, `-cpu ${argument}`, 'cpu-host', `-cpu ${instead}`);
  return instead;
}

/** Less memory, unless the line says how it is divided. */
function memory(words: Words, { line, changes }: Shop): Words {
  const divided = line.options.some(
    (o) => o.name === 'numa' || (o.name === 'object' && /memory-backend/.test(o.argument ?? '')),
  );
  const size = words.get('size');
  const mebibytes = readNumber(size?.value);
  const bytes = mebibytes === undefined ? readSize(size?.value) : mebibytes * 1024 * 1024;
  if (divided || size === undefined || bytes === undefined || bytes <= MOST_MEMORY) return words;
  changes.add(size.span, `-m ${size.value}`, 'memory-less', '-m 128M');
  words.set('size', '128M');
  return words;
}

/** Every file that the line names and that the trial asks for. */
export function filesOf(line: CommandLine, context: Omit<TrialContext, 'file'>): string[] {
  const names = new Set<string>();
  planTrial(line, {
    ...context,
    file: (name) => {
      names.add(name);
      return undefined;
    },
  });
  return [...names];
}

/** The plan's words as one vector. */
export function argvOf(plan: TrialPlan): string[] {
  return plan.argv.flatMap((part: TrialWords) => part.words);
}

/** The architecture that the line's program emulates. */
export function archOf(line: CommandLine): string {
  return storageModel(line).machine.arch;
}
