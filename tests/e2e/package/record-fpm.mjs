#!/usr/bin/env node
/**
 * Stands in for fpm, with which electron-builder makes a .deb: writes down what it was told (its arguments, and the small text
 * files among them) to the file that PLATTER_FPM_RECORD names, and makes an empty package.
 */
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';

const args = process.argv.slice(2);
const files = {};
for (const argument of args) {
  // `local path=path in the package`
  const local = argument.replace(/=\/.*$/, '');
  if (/\.(desktop|xml)$/.test(local) && existsSync(local) && statSync(local).isFile())
    files[argument] = readFileSync(local, 'utf8');
}
writeFileSync(process.env.PLATTER_FPM_RECORD, JSON.stringify({ args, files }));
const target =
  args.find((argument, index) => ['--package', '-p'].includes(args[index - 1])) ??
  args.find((argument) => argument.endsWith('.deb'));
writeFileSync(target, '');
