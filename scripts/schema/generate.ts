/**
 * Writes what a QEMU knows to resources/schema/qemu-<version>.json.
 *
 *     npx tsx scripts/schema/generate.ts [path of qemu-system-x86_64]
 */
import { execFileSync, spawn } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { readSchema, type QmpAsk } from '../../engine/qemu/schema/qmp.ts';

const binary = process.argv[2] ?? 'qemu-system-x86_64';
const help = execFileSync(binary, ['-device', 'help'], { encoding: 'utf8' });
const qemu = spawn(
  binary,
  ['-machine', 'none', '-accel', 'tcg', '-nodefaults', '-display', 'none', '-S', '-qmp', 'stdio'],
  { stdio: ['pipe', 'pipe', 'inherit'] },
);

type Reply = { return?: unknown; error?: { desc: string }; id?: number };
const waiting = new Map<number, (reply: Reply) => void>();
createInterface({ input: qemu.stdout }).on('line', (line) => {
  const reply = JSON.parse(line) as Reply;
  if (reply.id !== undefined) waiting.get(reply.id)?.(reply);
});

qemu.on('exit', (code, signal) => {
  if (waiting.size > 0) throw new Error(`${binary} ended (${signal ?? String(code)}) before it had answered`);
});

let lastId = 0;
const ask: QmpAsk = (command, args) =>
  new Promise((resolve, reject) => {
    const id = ++lastId;
    waiting.set(id, (reply) => {
      waiting.delete(id);
      if (reply.error === undefined) resolve(reply.return);
      else reject(new Error(`${command} ${JSON.stringify(args ?? {})}: ${reply.error.desc}`));
    });
    qemu.stdin.write(`${JSON.stringify({ execute: command, arguments: args, id })}\n`);
  });

await ask('qmp_capabilities');
const schema = await readSchema(ask, help);
await ask('quit');
mkdirSync('resources/schema', { recursive: true });
const file = `resources/schema/qemu-${schema.version}.json`;
writeFileSync(file, `${JSON.stringify(schema)}\n`);
console.log(
  `${file}: ${String(Object.keys(schema.devices).length)} devices, ${String(schema.properties.length)} properties, ` +
    `${String(Object.keys(schema.types).length)} types`,
);
