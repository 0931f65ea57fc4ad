/**
 * `key=value,key=value` as QEMU reads it: util/qemu-option.c (`opts_do_parse`) for most options, util/keyval.c for
 * `-blockdev`, `-machine` and JSON. A doubled comma is a comma in the value; a bare word is the implied key at the front
 * and a short-form boolean elsewhere.
 */
import type { Param, Problem, Word } from '../model.ts';
import { readJsonObject } from './json.ts';
import { hasVariable, spanIn, syntaxProblem } from './shell.ts';

/** The list in `word`; `implied` is the key of a bare first word, e.g. `driver`. */
export function readParams(word: Word, implied: string | undefined, keyval: boolean): Param[] {
  const text = word.value;
  const params: Param[] = [];
  let at = 0;
  while (at <= text.length && text.length > 0) {
    let stop = at;
    while (stop < text.length && text[stop] !== '=' && text[stop] !== ',') stop++;
    const first = params.length === 0;
    if (text[stop] === '=') {
      const [value, end] = readValue(text, stop + 1);
      params.push(param(word, text.slice(at, stop), value, 'pair', [at, stop], [stop + 1, end]));
      at = end + 1;
    } else if (first && implied !== undefined) {
      const [value, end] = readValue(text, at);
      params.push(param(word, implied, value, 'implied', [at, at], [at, end]));
      at = end + 1;
    } else {
      if (stop > at) params.push(bareWord(word, text.slice(at, stop), at, stop, keyval));
      at = stop + 1;
    }
  }
  return params;
}

/** Everything up to the next single comma, `,,` standing for `,`. */
function readValue(text: string, from: number): [value: string, end: number] {
  let end = from;
  let doubled = false;
  for (; end < text.length; end++) {
    if (text[end] !== ',') continue;
    if (text[end + 1] !== ',') break;
    doubled = true;
    end++;
  }
  const raw = text.slice(from, end);
  return [doubled ? raw.replaceAll(',,', ',') : raw, end];
}

function bareWord(word: Word, name: string, from: number, to: number, keyval: boolean): Param {
  const off = !keyval && name.startsWith('no') && name.length > 2 && name !== 'node-name';
  const key = off ? name.slice(2) : name;
  return param(word, key, off ? 'off' : 'on', off ? 'short-off' : 'short-on', [from, to], [to, to]);
}

function param(
  word: Word,
  key: string,
  value: string,
  form: Param['form'],
  keyAt: [number, number],
  valueAt: [number, number],
): Param {
  const made: Param = {
    key,
    value,
    form,
    span: spanIn(word, Math.min(keyAt[0], valueAt[0]), valueAt[1]),
    keySpan: spanIn(word, keyAt[0], keyAt[1]),
    valueSpan: spanIn(word, valueAt[0], valueAt[1]),
  };
  if (word.variables !== undefined && hasVariable(word, keyAt[0], valueAt[1])) made.variable = true;
  return made;
}

/** A JSON argument as dotted keys. */
export function readJsonParams(word: Word, problems: Problem[]): Param[] {
  const { leaves, fault } = readJsonObject(word.value);
  if (fault !== undefined) {
    const at = Math.min(fault.at, Math.max(0, word.value.length - 1));
    problems.push(
      syntaxProblem(
        'X05',
        spanIn(word, at, at + 1),
        { reason: fault.reason, offset: String(fault.at) },
        {
          qemu: 'JSON parse error',
        },
      ),
    );
  }
  return leaves.map((leaf) => {
    const made: Param = {
      key: leaf.key,
      value: leaf.value,
      form: 'pair',
      json: leaf.type,
      span: spanIn(word, leaf.start, leaf.end),
      keySpan: spanIn(word, leaf.keyStart, leaf.keyEnd),
      valueSpan: spanIn(word, leaf.valueStart, leaf.valueEnd),
    };
    if (word.variables !== undefined && hasVariable(word, leaf.start, leaf.end)) made.variable = true;
    return made;
  });
}
