/** For tests: the program in this process, with its output caught. */
import { setImmediate } from 'node:timers/promises';
import type { Io } from '../frame/io.ts';
import { main } from '../main.ts';

export interface Ran {
  code: number;
  out: string;
  err: string;
}

/** Runs `platter …words`. Paths are relative to the process's own folder: give absolute ones. */
export async function platter(words: readonly string[], input = ''): Promise<Ran> {
  const ran: Ran = { code: -1, out: '', err: '' };
  const io: Io = {
    out: (text) => void (ran.out += text),
    err: (text) => void (ran.err += text),
    input: async () => input,
    terminal: false,
  };
  ran.code = await main(words, io);
  return ran;
}

/** The same, run where `folder` is: names are as short as the real program prints them. */
export async function platterIn(folder: string, words: readonly string[]): Promise<Ran> {
  const before = process.cwd();
  process.chdir(folder);
  try {
    return await platter(words);
  } finally {
    process.chdir(before);
  }
}

/** Waits until a command listens for Ctrl-C and had some turns of the event loop to work, and presses it. */
export async function pressControlC(): Promise<void> {
  const before = process.listenerCount('SIGINT');
  while (process.listenerCount('SIGINT') === before) await setImmediate();
  for (let turn = 0; turn < 10; turn += 1) await setImmediate();
  process.emit('SIGINT');
}
