/** What the person's own QEMU knows, asked once over QMP and kept until the program changes. */
import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PlatterError } from '#engine/errors.ts';
import { readSchema } from '#engine/qemu/schema/qmp.ts';
import type { Schema } from '#engine/qemu/schema/schema.ts';
import { replaceFile } from '../store/file.ts';
import type { QemuProgram } from './find.ts';
import { capture } from './capture.ts';
import { runQemu } from './run.ts';

export interface KnownQemu {
  program: QemuProgram;
  /** `7.2.22` */
  version: string;
  /** It knows `-sandbox`. */
  sandbox: boolean;
  schema: Schema;
}

/** Asking for every device takes a second or two. */
const LIMITS = { time: 60_000, memory: 1024 * 1024 * 1024 };
const MACHINE = [
  '-machine',
  'none',
  '-accel',
  'tcg',
  '-nodefaults',
  '-no-user-config',
  '-display',
  'none',
  '-S',
  '-qmp',
  'stdio',
];

export class Schemas {
  readonly #folder: string;
  readonly #known = new Map<string, Promise<KnownQemu>>();

  /** @param folder where they are kept; made when it is needed */
  constructor(folder: string) {
    this.#folder = folder;
  }

  /** @throws PlatterError `try.qemu-silent` */
  of(program: QemuProgram): Promise<KnownQemu> {
    const key = createHash('sha256')
      .update(`2\0${program.path}\0${String(program.mtime)}`)
      .digest('hex')
      .slice(0, 24);
    let known = this.#known.get(key);
    if (known === undefined) {
      known = this.#load(program, key);
      this.#known.set(key, known);
      // What failed is asked again the next time.
      known.catch(() => this.#known.delete(key));
    }
    return known;
  }

  async #load(program: QemuProgram, key: string): Promise<KnownQemu> {
    const version = /version (\S+)/.exec(await capture(program.path, ['--version']))?.[1];
    if (version === undefined) throw silent(program);
    const file = join(this.#folder, `${key}.json`);
    const kept = await readKept(file, version);
    if (kept !== undefined) return { program, ...kept };
    const help = await capture(program.path, ['-help']);
    const fresh = { version, sandbox: /^-sandbox\b/m.test(help), schema: await askSchema(program) };
    await mkdir(this.#folder, { recursive: true });
    // A cache that cannot be written only costs time.
    await replaceFile(file, JSON.stringify(fresh)).catch(() => undefined);
    return { program, ...fresh };
  }
}

async function readKept(file: string, version: string): Promise<Omit<KnownQemu, 'program'> | undefined> {
  try {
    const kept = JSON.parse(await readFile(file, 'utf8')) as Omit<KnownQemu, 'program'>;
    const whole =
      kept.version === version && typeof kept.sandbox === 'boolean' && Array.isArray(kept.schema.properties);
    return whole ? kept : undefined;
  } catch {
    return undefined;
  }
}

async function askSchema(program: QemuProgram): Promise<Schema> {
  const folder = await mkdtemp(join(tmpdir(), 'platter-schema-'));
  try {
    const help = await capture(program.path, ['-machine', 'none', '-device', 'help']);
    const run = runQemu({ path: program.path, argv: MACHINE, folder, limits: LIMITS });
    try {
      await run.ask('qmp_capabilities');
      return await readSchema(async (command, args) => {
        const answer = await run.ask(command, args);
        if (answer === undefined && command !== 'device-list-properties') throw silent(program);
        return answer ?? [];
      }, help);
    } finally {
      run.cancel();
      await run.ended;
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function silent(program: QemuProgram): PlatterError {
  return new PlatterError(
    'try.qemu-silent',
    `${program.name} at ${program.path} did not tell what it knows. It may be damaged, or another program of that name.`,
    { value: program.path, option: program.name },
  );
}
