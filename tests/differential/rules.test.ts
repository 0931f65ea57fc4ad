/** Every rule of the linter is held against a real QEMU 7.2: it prints what the rule says it prints, or stays silent. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { lint } from '../../engine/qemu/lint.ts';
import { parseCommandLine } from '../../engine/qemu/parse.ts';
import { RULES } from '../../engine/qemu/rules/table.ts';
import { installedQemu, makeImages, tryLine } from './qemu.ts';
import { context } from './rule-context.ts';
import { CLEAN_LINES } from './clean-lines.ts';
import { RULE_CASES } from './rule-cases.ts';

const version = installedQemu();
if (version !== '7.2')
  console.log(`The rules are held against QEMU 7.2 only; ${version ?? 'none'} is installed here.`);

describe.skipIf(version !== '7.2')('rules against QEMU 7.2', () => {
  let images: ReturnType<typeof makeImages>;
  beforeAll(() => {
    images = makeImages();
  });
  afterAll(() => images.remove());

  it.each(RULE_CASES)('$rules: $line', async ({ line, rules }) => {
    // QEMU is started with -nodefaults, and so the line is judged.
    const problems = lint(parseCommandLine(`-nodefaults ${line}`), context);
    expect(problems.map((p) => p.rule)).toEqual(rules);
    const { accepted, said } = await tryLine(line, images.folder);
    const errors = problems.filter((p) => p.severity === 'error');
    expect({ accepted, said }).toMatchObject({ accepted: errors.length === 0 });
    const spoken = problems.filter(
      (p) => p.qemu !== undefined && (p.severity === 'error') === errors.length > 0,
    );
    if (spoken.length > 0) expect(normalised(said)).toContain(normalised(spoken[0].qemu ?? ''));
    else if (accepted) expect(said).toBe('');
  });

  it.each(CLEAN_LINES)('clean: %s', async (line) => {
    expect(lint(parseCommandLine(`-nodefaults ${line}`), context)).toEqual([]);
    expect(await tryLine(line, images.folder)).toMatchObject({ accepted: true });
  });

  it('has a case for every rule that a line can show', () => {
    const shown = new Set(RULE_CASES.flatMap((c) => c.rules));
    // I04 came with QEMU 9.0, O08 needs a version that deprecates what 7.2 still has.
    const exempt = new Set(['I04', 'O08']);
    expect(
      RULES.filter((r) => r.find !== undefined && !shown.has(r.id) && !exempt.has(r.id)).map((r) => r.id),
    ).toEqual([]);
  });
});

/** Names that QEMU makes up differ from run to run: who holds an address, what a node's parents are called. */
function normalised(text: string): string {
  return text
    .replaceAll(/in use by \S+/g, 'in use by …')
    .replaceAll(/lun already used by '[^']*'/g, 'lun already used by …')
    .replaceAll(/(Permission conflict on node '[^']*').*$/gm, '$1');
}
