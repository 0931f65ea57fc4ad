/**
 * Generated storage lines against a paused QEMU: it accepts what the linter finds without an error and refuses what it calls one.
 *
 * A bounded number runs by default; `PLATTER_LINES=3000 npx vitest run tests/differential/lines` runs more,
 * `PLATTER_SEED=7` begins elsewhere.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { lint } from '../../engine/qemu/lint.ts';
import { parseCommandLine } from '../../engine/qemu/parse.ts';
import { acceptedDisagreement } from './disagreements.ts';
import { generateLine } from './line-generator.ts';
import { installedQemu, makeImages, tryLine } from './qemu.ts';
import { context } from './rule-context.ts';

const LINES = Number(process.env['PLATTER_LINES'] ?? 120);
const SEED = Number(process.env['PLATTER_SEED'] ?? 1);
const AT_ONCE = 2;

const version = installedQemu();
if (version !== '7.2')
  console.log(`The lines are held against QEMU 7.2 only; ${version ?? 'none'} is installed here.`);

describe.skipIf(version !== '7.2')('generated lines against QEMU 7.2', () => {
  // Two QEMUs must not lock one another's images.
  let images: ReturnType<typeof makeImages>[];
  beforeAll(() => {
    images = Array.from({ length: AT_ONCE }, makeImages);
  });
  afterAll(() => images.forEach((i) => i.remove()));

  it(
    `agree on ${String(LINES)} lines`,
    async () => {
      const disagreements: string[] = [];
      const counts = { clean: 0, wrong: 0, excused: 0 };
      let next = SEED;
      const worker = async ({ folder }: { folder: string }): Promise<void> => {
        while (next < SEED + LINES) {
          const seed = next++;
          const line = generateLine(seed);
          const errors = lint(parseCommandLine(`-nodefaults ${line}`), context).filter(
            (p) => p.severity === 'error',
          );
          const { accepted, said } = await tryLine(line, folder);
          counts[errors.length === 0 ? 'clean' : 'wrong']++;
          if (accepted === (errors.length === 0)) continue;
          if (acceptedDisagreement(line, errors, said) !== undefined) {
            counts.excused++;
            continue;
          }
          disagreements.push(
            `${String(seed)}: ${line}\n    linter: ${errors.map((e) => `${e.rule} ${JSON.stringify(e.params)}`).join('; ') || 'clean'}\n    QEMU: ${accepted ? 'accepts' : said.trim()}`,
          );
        }
      };
      await Promise.all(images.map(worker));
      console.log(
        `${String(LINES)} lines from seed ${String(SEED)}: ${String(counts.clean)} clean, ${String(counts.wrong)} with errors, ${String(counts.excused)} disagreements that are listed`,
      );
      expect(disagreements).toEqual([]);
    },
    60_000 + LINES * 1000,
  );
});
