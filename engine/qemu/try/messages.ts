/** What QEMU printed → messages, each tied to its place in the line. */
import type { TryMessage } from '#contract/try.ts';
import { explainError } from '../explain-error.ts';
import type { CommandLine, LintContext, Option, Param, Span } from '../model.ts';
import { optionText } from './changes.ts';
import type { TrialPlan, TrialWords } from './types.ts';

/** Most text and messages that are kept. */
const MOST_TEXT = 64 * 1024;
const MOST = 100;

/** What the trial itself brings about: the emulated CPU lacks what the host's has. */
const OF_THE_TRIAL = /^(?:warning: TCG doesn't support requested feature|VNC server running)/;

/**
 * @param printed QEMU's standard error
 * @param program what QEMU calls itself in front of each message
 */
export function readMessages(
  printed: string,
  program: string,
  plan: TrialPlan,
  line: CommandLine,
  context: LintContext,
): TryMessage[] {
  const messages: TryMessage[] = [];
  for (const text of paragraphs(printed.slice(0, MOST_TEXT), program)) {
    if (OF_THE_TRIAL.test(text) || messages.length >= MOST) continue;
    messages.push(readMessage(text, plan, line, context));
  }
  return messages;
}

/** One text for each message; lines without the program's name in front go on with the one before. */
function paragraphs(printed: string, program: string): string[] {
  const found: string[] = [];
  for (const row of printed.split('\n')) {
    const text = row.replace(/\r$/, '');
    if (text.trim() === '') continue;
    const own = [`${program}: `, 'qemu: '].find((prefix) => text.startsWith(prefix));
    if (own !== undefined) found.push(text.slice(own.length));
    else if (found.length === 0 || /^(?:warning|error|info): /.test(text)) found.push(text);
    else found[found.length - 1] += `\n${text}`;
  }
  return found;
}

function readMessage(raw: string, plan: TrialPlan, line: CommandLine, context: LintContext): TryMessage {
  const { level, text } = readLevel(raw);
  const words = plan.argv.concat(plan.unknown).filter((part) => startsWithWords(text, part));
  // The same option may stand there twice; QEMU's words do not tell which.
  const part = words.toSorted((a, b) => joined(b).length - joined(a).length)[0];
  const option = part?.span === undefined ? undefined : optionAt(line, part.span);
  const said = unalias(
    part === undefined ? text : text.slice(joined(part).length).replace(/^:\s*/, ''),
    plan,
  );
  const [explained] = explainError(said, line, context);
  const message: TryMessage = { text: said, level };
  if (explained !== undefined) message.rule = explained.rule;
  const problem = explained?.problem;
  const inOption = option === undefined || (problem !== undefined && within(problem.span, option.span));
  const span =
    (problem !== undefined && inOption && problem.qemu !== undefined ? problem.span : undefined) ??
    paramSpan(said, option === undefined ? line.options : [option]) ??
    option?.span ??
    problem?.span;
  if (span !== undefined) message.span = { start: span.start, end: span.end };
  const shown = option ?? (span === undefined ? undefined : optionAt(line, span));
  if (shown !== undefined) message.option = optionText(shown);
  return message;
}

function readLevel(raw: string): { level: TryMessage['level']; text: string } {
  // `-drive …: warning: …` and `warning: -drive …: …` are both printed.
  const level = /^(warning|info): |: (warning|info): /.exec(raw);
  if (level === null) return { level: 'error', text: raw };
  const kind = level[1] ?? level[2];
  return {
    level: kind === 'warning' ? 'warning' : 'note',
    text: level.index === 0 ? raw.slice(level[0].length) : raw.replace(`: ${kind}: `, ': '),
  };
}

const joined = (part: TrialWords): string => part.words.join(' ');

function startsWithWords(text: string, part: TrialWords): boolean {
  const words = joined(part);
  return words !== '' && text.startsWith(words) && text.charAt(words.length) === ':';
}

function optionAt(line: CommandLine, span: Span): Option | undefined {
  return line.options.find((o) => o.span.start <= span.start && o.span.end >= span.end);
}

const within = (inner: Span, outer: Span): boolean => inner.start >= outer.start && inner.end <= outer.end;

/** The names of the trial's files and nodes are the line's again. */
function unalias(text: string, plan: TrialPlan): string {
  let out = text;
  for (const [ours, theirs] of [...plan.aliases].toSorted((a, b) => b[0].length - a[0].length))
    out = out.replaceAll(ours, theirs);
  return out;
}

/** The parameter whose value or name stands quoted in the message. */
function paramSpan(text: string, options: readonly Option[]): Span | undefined {
  const quoted = [...text.matchAll(/['"\u2018]([^'"\u2019]{1,300})['"\u2019]/g)].map((m) => m[1]);
  const bare = /^(?:Parameter|Property) (\S+)/.exec(text)?.[1];
  const names = quoted.flatMap((q) => [q, ...(q.includes('.') ? [q.slice(q.lastIndexOf('.') + 1)] : [])]);
  if (bare !== undefined) names.unshift(bare.replaceAll(/['"]/g, ''));
  const params = options.flatMap((o) => o.params);
  const by = (match: (p: Param, name: string) => boolean): Span | undefined => {
    for (const name of names) {
      const found = params.find((p) => match(p, name));
      if (found !== undefined) return found.span;
    }
    return undefined;
  };
  return (
    by((p, name) => p.value === name && p.value !== 'on' && p.value !== 'off') ??
    by((p, name) => p.key === name)
  );
}
