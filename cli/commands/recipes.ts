/** `platter recipes`: lines that do one thing well, with the reason for every option. */
import { RECIPES, recipeById } from '#engine/qemu/recipes.ts';
import texts from '#resources/messages/en/recipes.json' with { type: 'json' };
import { defineCommand } from '../frame/command.ts';
import { fill } from '../frame/help.ts';
import { fillText } from '../frame/messages.ts';

const catalogue: Readonly<Record<string, string>> = texts;
const text = (key: string): string => fillText(catalogue[`recipes.${key}`] ?? key, {});

export const recipes = defineCommand({
  name: 'recipes',
  operands: '[NAME]',
  count: { least: 0, most: 1 },
  help: 'Lists command lines that do one thing well; with a name, the line and the reason for each of its options.',
  options: {},
  examples: [{ line: 'platter recipes fast-virtio-blk', says: 'a fast disk, and why it is fast' }],
  exitCodes: [{ code: 1, means: 'there is no recipe of that name' }],
  run({ operands: [name], io }) {
    if (name === undefined) {
      for (const { id } of RECIPES) io.out(`${id.padEnd(18)}${text(`${id}.title`)}\n`);
      return Promise.resolve(0);
    }
    const recipe = recipeById(name);
    if (recipe === undefined) {
      io.err(`platter: there is no recipe ${name}; "platter recipes" lists them\n`);
      return Promise.resolve(1);
    }
    io.out(`# ${text(`${name}.title`)}\n${recipe.line}\n\n${fill(text(`${name}.about`), 0)}\n`);
    for (const { option, why } of recipe.reasons) io.out(`\n${option}\n${fill(text(`why.${why}`), 2)}\n`);
    return Promise.resolve(0);
  },
});
