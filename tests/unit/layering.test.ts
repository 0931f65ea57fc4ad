/** Who may import whom. The order is that of docs/ARCHITECTURE.md. */
import { builtinModules } from 'node:module';
import { describe, expect, it } from 'vitest';
import { filesBelow, isTest, readSource } from './sources/files.ts';
import { importsOf, type Import } from './sources/imports.ts';

/** Each part of the engine may import what stands before it. */
const ENGINE_LAYERS = [
  'errors',
  'maybe',
  'bytes',
  'trace',
  'block',
  'inspect',
  'scsi',
  'machine',
  'virtio',
  'ide',
  'guest',
  'qemu',
  'lab',
] as const;

/** Parts that the window imports too: they need nothing but the language. */
const PURE = ['errors', 'maybe', 'bytes', 'trace', 'qemu'];

const FOLDERS = ['engine', 'contract', 'main', 'preload', 'renderer', 'cli'] as const;
const imports = FOLDERS.flatMap((folder) =>
  filesBelow(folder, /\.(ts|vue)$/)
    .filter((path) => !isTest(path))
    .flatMap(importsOf),
);

const top = (path: string): string => path.split('/')[0];
/** `engine/block/…` is of `block`, `engine/errors.ts` of `errors`. */
const part = (path: string): string => path.split('/')[1]?.replace(/\.ts$/, '') ?? '';
const isNode = ({ specifier }: Import): boolean =>
  specifier.startsWith('node:') || builtinModules.includes(specifier);
const packageOf = ({ specifier }: Import): string =>
  specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/');
const isPackage = (one: Import): boolean => one.file === undefined && !isNode(one);
const show = (one: Import): string => `${one.from} imports ${one.specifier}`;

/** All imports from `folder` for which `wrong` holds, in words. */
function offences(folder: string, wrong: (one: Import) => boolean): string[] {
  return imports.filter((one) => top(one.from) === folder && wrong(one)).map(show);
}

it('finds imports at all', () => {
  expect(importsOf('engine/errors.ts').map(({ file }) => file)).toContain('contract/error.ts');
  expect(imports.length).toBeGreaterThan(100);
});

describe('the engine', () => {
  it('imports neither Electron nor the interface nor the processes', () => {
    const ours = ['engine', 'contract', 'resources'];
    expect(offences('engine', (one) => one.file !== undefined && !ours.includes(top(one.file)))).toEqual([]);
    const interfaces =
      /^(electron|vue|pinia|reka-ui|vite|@vue|@vueuse|@vitejs|@tanstack|@codemirror|@dagrejs|@lucide|uplot)/;
    expect(offences('engine', (one) => isPackage(one) && interfaces.test(packageOf(one)))).toEqual([]);
  });

  it('does not know the DOM: the compiler checks it without its types', () => {
    const settings = readSource('tsconfig.base.json') + readSource('tsconfig.json');
    expect(settings).not.toMatch(/"DOM/i);
  });

  it('consists of known layers', () => {
    const parts = new Set(filesBelow('engine', /\.ts$/).map(part));
    expect([...parts].filter((name) => !ENGINE_LAYERS.some((layer) => layer === name))).toEqual([]);
  });

  it('imports downwards only', () => {
    const rank = (path: string): number => ENGINE_LAYERS.findIndex((layer) => layer === part(path));
    const upwards = (one: Import): boolean =>
      one.file !== undefined && top(one.file) === 'engine' && rank(one.file) > rank(one.from);
    expect(offences('engine', upwards)).toEqual([]);
  });

  it('keeps the parts that the window uses free of Node', () => {
    expect(offences('engine', (one) => PURE.includes(part(one.from)) && isNode(one))).toEqual([]);
    const impure = (one: Import): boolean =>
      PURE.includes(part(one.from)) &&
      one.file !== undefined &&
      top(one.file) === 'engine' &&
      !PURE.includes(part(one.file));
    expect(offences('engine', impure)).toEqual([]);
  });

  it('lets the command line know nothing of disks and devices', () => {
    const allowed = ['qemu', 'bytes', 'errors'];
    const wrong = (one: Import): boolean =>
      part(one.from) === 'qemu' &&
      one.file !== undefined &&
      top(one.file) === 'engine' &&
      !allowed.includes(part(one.file));
    expect(offences('engine', wrong)).toEqual([]);
  });
});

describe('the processes', () => {
  it('share a contract that imports nothing but valibot', () => {
    const wrong = (one: Import): boolean =>
      one.file === undefined ? one.specifier !== 'valibot' : top(one.file) !== 'contract';
    expect(offences('contract', wrong)).toEqual([]);
  });

  it('keep the window away from Node, Electron and the other processes', () => {
    const ours = ['renderer', 'contract', 'engine', 'resources'];
    expect(offences('renderer', (one) => one.file !== undefined && !ours.includes(top(one.file)))).toEqual(
      [],
    );
    expect(offences('renderer', (one) => isNode(one) || packageOf(one) === 'electron')).toEqual([]);
    const impure = (one: Import): boolean =>
      one.file !== undefined && top(one.file) === 'engine' && !one.typeOnly && !PURE.includes(part(one.file));
    expect(offences('renderer', impure)).toEqual([]);
  });

  it('meet in preload alone, which imports Electron and the contract', () => {
    const wrong = (one: Import): boolean =>
      one.file === undefined
        ? packageOf(one) !== 'electron'
        : !['preload', 'contract'].includes(top(one.file));
    expect(offences('preload', wrong)).toEqual([]);
    const bridges = imports.filter((one) => one.names.includes('contextBridge')).map((one) => top(one.from));
    expect(new Set(bridges)).toEqual(new Set(['preload']));
  });

  it('keep the main process away from the window and the terminal program', () => {
    const ours = ['main', 'contract', 'engine', 'resources'];
    const wrong = (one: Import): boolean =>
      one.file !== undefined && !ours.includes(top(one.file)) && one.file !== 'package.json';
    expect(offences('main', wrong)).toEqual([]);
  });

  it('keep the terminal program free of Electron', () => {
    const ours = ['cli', 'contract', 'engine', 'resources'];
    const wrong = (one: Import): boolean =>
      one.file !== undefined && !ours.includes(top(one.file)) && one.file !== 'package.json';
    expect(offences('cli', wrong)).toEqual([]);
    expect(offences('cli', (one) => packageOf(one) === 'electron')).toEqual([]);
  });
});

it('no file imports itself through others', () => {
  const next = new Map<string, string[]>();
  for (const one of imports) {
    if (one.file !== undefined && !one.typeOnly)
      next.set(one.from, [...(next.get(one.from) ?? []), one.file]);
  }
  expect(findCycle(next)).toEqual([]);
});

/** The files of one cycle, or none. */
function findCycle(next: ReadonlyMap<string, readonly string[]>): string[] {
  const done = new Set<string>();
  const visit = (path: string, way: readonly string[]): string[] => {
    const at = way.indexOf(path);
    if (at !== -1) return [...way.slice(at), path];
    if (done.has(path)) return [];
    for (const imported of next.get(path) ?? []) {
      const cycle = visit(imported, [...way, path]);
      if (cycle.length > 0) return cycle;
    }
    done.add(path);
    return [];
  };
  for (const path of next.keys()) {
    const cycle = visit(path, []);
    if (cycle.length > 0) return cycle;
  }
  return [];
}
