/** Short options (`-hda`, `-cdrom`, `-fda`, `-sd`, `-mtdblock`, `-pflash`, a bare image) → `-drive`. Source: softmmu/vl.c. */
import { applyEdits } from '../edit.ts';
import type { CommandLine, TextEdit } from '../model.ts';
import { storageModel, type Drive } from '../storage-model.ts';
import type { Conversion } from './notes.ts';
import { writeOption, type Pair } from './write.ts';

/** The same line with every short drive option written out. */
export function toLongOptions(line: CommandLine): Conversion {
  const edits: TextEdit[] = [];
  for (const drive of storageModel(line).drives) {
    if (drive.option.name === 'drive') continue;
    edits.push({ span: drive.option.span, text: writeOption('drive', longPairs(drive)) });
  }
  return { text: applyEdits(line.text, edits), notes: [] };
}

function longPairs(drive: Drive): Pair[] {
  const pairs: Pair[] = [['file', drive.file ?? '']];
  if (drive.option.name === 'mtdblock' || drive.option.name === 'pflash') return [...pairs, ['if', drive.if]];
  if (drive.if !== 'ide') pairs.push(['if', drive.if]);
  pairs.push(['index', String(drive.index ?? 0)], ['media', drive.media]);
  return pairs;
}
