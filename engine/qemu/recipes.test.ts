import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { setTimeout as wait } from 'node:timers/promises';
import { afterAll, expect, it } from 'vitest';
import { lint } from './lint.ts';
import { parseCommandLine } from './parse.ts';
import { RECIPES } from './recipes.ts';
import { askQemu, makeFiles, workFolder } from './testing/paused-qemu.ts';

const { folder, remove } = workFolder();
afterAll(remove);
const texts = JSON.parse(readFileSync('resources/messages/en/recipes.json', 'utf8')) as object;

it.each(RECIPES)('$id is clean, has its texts, and every reason is about something in the line', (recipe) => {
  for (const version of ['7.2', '10.0']) {
    const rules = lint(parseCommandLine(recipe.line), { version }).map((problem) => problem.rule);
    expect(rules).toEqual(recipe.knowingly ?? []);
  }
  for (const { option, why } of recipe.reasons) {
    expect(recipe.line).toContain(option);
    expect(texts).toHaveProperty([`recipes.why.${why}`]);
  }
  expect(texts).toHaveProperty([`recipes.${recipe.id}.title`]);
  expect(texts).toHaveProperty([`recipes.${recipe.id}.about`]);
});

it('no text is left without its recipe', () => {
  const used = new Set(RECIPES.flatMap((r) => r.reasons.map(({ why }) => `recipes.why.${why}`)));
  expect(Object.keys(texts).filter((k) => k.startsWith('recipes.why.') && !used.has(k))).toEqual([]);
});

it.each(RECIPES.filter((r) => r.needs === undefined))('$id is taken by QEMU', async (recipe) => {
  makeFiles(folder, recipe.files);
  expect(await askQemu(recipe.line, folder)).toBe('');
});

it('copy on read is taken once the server is there', async () => {
  const recipe = RECIPES.find((r) => r.needs === 'nbd-server');
  makeFiles(folder, [...(recipe?.files ?? []), { name: 'remote.img', format: 'raw' }]);
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const address = probe.address();
  const port = typeof address === 'object' ? String(address?.port) : '';
  probe.close();
  const server = spawn('qemu-nbd', ['-f', 'raw', '-r', '-t', '-b', '127.0.0.1', '-p', port, 'remote.img'], {
    cwd: folder,
  });
  const line = (recipe?.line ?? '').replace('images.example', '127.0.0.1').replace('10809', port);
  try {
    let said = await askQemu(line, folder);
    for (let i = 0; i < 20 && said.includes('refused'); i++) {
      await wait(100);
      said = await askQemu(line, folder);
    }
    expect(said).toBe('');
  } finally {
    server.kill();
  }
});

it('passthrough fails only at the device that is not there', async () => {
  const recipe = RECIPES.find((r) => r.needs === 'scsi-device');
  expect(await askQemu(recipe?.line ?? '', folder)).toMatch(
    /Could not open '\/dev\/disk\/by-id\/scsi-EXAMPLE': No such file/,
  );
});
