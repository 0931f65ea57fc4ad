/** One trial: looks at the files, makes what stands in for others, starts QEMU, asks it, ends it, removes everything. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TryResult, TryStage, TryVerdict } from '#contract/try.ts';
import { formatByName } from '#engine/block/formats/registry.ts';
import { openFile } from '#engine/block/storage/file.ts';
import { PlatterError } from '#engine/errors.ts';
import { parseCommandLine } from '#engine/qemu/parse.ts';
import { archOf, argvOf, filesOf, planTrial } from '#engine/qemu/try/plan.ts';
import { readMessages } from '#engine/qemu/try/messages.ts';
import { readTree } from '#engine/qemu/try/tree.ts';
import type { FileFacts, MadeImage, TrialContext, TrialPlan } from '#engine/qemu/try/types.ts';
import { factsOf, factsOfFile, type Inspect } from './files.ts';
import { findQemu } from './find.ts';
import { runQemu, type QemuRun, type RunEnd, type RunLimits } from './run.ts';
import type { KnownQemu, Schemas } from './schemas.ts';

export const TRIAL_LIMITS: RunLimits = { time: 20_000, memory: 1024 * 1024 * 1024 };

export interface TrialOptions {
  line: string;
  /** Drive or node → the path of the image that is bound to it. */
  bound: ReadonlyMap<string, string>;
  inspect: Inspect;
  schemas: Schemas;
  stage?: (stage: TryStage) => void;
  signal?: AbortSignal;
  limits?: RunLimits;
  /** Folders to look for QEMU in, as in PATH. */
  path?: string;
}

/** @throws PlatterError `try.no-qemu`, `try.qemu-silent`, `try.not-started` */
export async function tryLine(options: TrialOptions): Promise<TryResult> {
  const line = parseCommandLine(options.line);
  const known = await options.schemas.of(await findQemu(archOf(line), options.path));
  const folder = await mkdtemp(join(tmpdir(), 'platter-try-'));
  try {
    options.stage?.('files');
    const bound = await boundFacts(options);
    const base = {
      folder,
      bound: (drive: string) => bound.get(drive),
      schema: known.schema,
      sandbox: known.sandbox,
    };
    const facts = await factsOf(filesOf(line, base), options.inspect);
    const context: TrialContext = { ...base, file: (name) => facts.get(name) };
    const plan = planTrial(line, context);
    for (const image of plan.images) await makeImage(image);
    return await start(options, known, folder, plan);
  } finally {
    options.stage?.('ending');
    await rm(folder, { recursive: true, force: true });
  }
}

async function boundFacts({ bound, inspect }: TrialOptions): Promise<Map<string, FileFacts>> {
  const facts = new Map<string, FileFacts>();
  for (const [drive, path] of bound) {
    const found = await factsOfFile(path, inspect);
    if (found !== undefined) facts.set(drive, found);
  }
  return facts;
}

/** An empty image; raw ones are sparse. */
async function makeImage({ path, format, size }: MadeImage): Promise<void> {
  const storage = openFile(path, { create: true, readOnly: false });
  try {
    await formatByName(format).create?.(storage, { size });
  } finally {
    storage.close();
  }
}

async function start(
  options: TrialOptions,
  known: KnownQemu,
  folder: string,
  plan: TrialPlan,
): Promise<TryResult> {
  const { limits = TRIAL_LIMITS, signal } = options;
  const argv = argvOf(plan);
  const path = known.program.path;
  const launch = (words: readonly string[]): QemuRun =>
    runQemu({ path, argv: words, folder, limits, ...(signal === undefined ? {} : { signal }) });
  options.stage?.('starting');
  const line = parseCommandLine(options.line);
  const version = /^\d+\.\d+/.exec(known.version)?.[0] ?? known.schema.version;
  const answer = (verdict: TryVerdict, printed: string): TryResult => ({
    verdict,
    qemu: { version: known.version, program: known.program.name, path },
    line: options.line,
    messages: readMessages(printed, known.program.name, plan, line, { version, schema: known.schema }),
    changes: plan.changes,
    argv: [known.program.name, ...argv],
  });
  // With -version in front QEMU reads the names of all options, and does nothing of what they say.
  for (const unknown of plan.unknown.slice(0, 16)) {
    const run = launch(['-version', ...unknown.words]);
    const end = await run.ended;
    if (end.kind !== 'exit') return answer(verdictOf(end, known), run.printed());
    // What needs an argument is known.
    if (end.code !== 0 && !run.printed().includes('requires an argument'))
      return answer('refused', run.printed());
    plan.changes.push({
      was: unknown.words.join(' ').slice(0, 120),
      reason: 'option',
      params: { option: unknown.words[0] },
    });
  }
  const run = launch(argv);
  try {
    const ready = await run.ask('qmp_capabilities');
    if (ready === undefined) {
      const end = await run.ended;
      return answer(verdictOf(end, known), wordsOf(run, end, known.program.name));
    }
    options.stage?.('asking');
    const answers = {
      block: await run.ask('query-block'),
      nodes: await run.ask('query-named-block-nodes', { flat: true }),
      graph: await run.ask('x-debug-query-block-graph'),
      pci: await run.ask('query-pci'),
      virtio: await run.ask('x-query-virtio'),
    };
    void run.ask('quit');
    const end = await run.ended;
    if (end.kind !== 'exit') return answer(verdictOf(end, known), run.printed());
    return {
      ...answer(end.code === 0 ? 'accepted' : 'refused', run.printed()),
      tree: readTree(answers, plan),
    };
  } finally {
    run.cancel();
    await run.ended;
  }
}

/** What it printed; for one that crashed without a word, the signal. */
function wordsOf(run: QemuRun, end: RunEnd, program: string): string {
  const printed = run.printed();
  if (printed.trim() !== '' || end.kind !== 'exit' || end.signal === null) return printed;
  return `${program}: ended by ${end.signal}`;
}

/** QEMU went before it could be asked. */
function verdictOf(end: RunEnd, { program }: KnownQemu): TryVerdict {
  if (end.kind === 'failed') {
    throw new PlatterError('try.not-started', `${program.path} could not be started: ${end.errno}.`, {
      value: program.path,
      errno: end.errno,
    });
  }
  if (end.kind !== 'exit') return end.kind;
  return end.code === 0 ? 'ended' : 'refused';
}
