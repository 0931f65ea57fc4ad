#!/usr/bin/env node
/** `platter`: the laboratory from a terminal. */
import { main } from './main.ts';
import { OutputClosed } from './frame/output-closed.ts';
import { processIo } from './frame/process-io.ts';

const io = processIo();
try {
  process.exitCode = await main(process.argv.slice(2), io);
  io.flush();
} catch (error) {
  if (!(error instanceof OutputClosed)) throw error;
  // As the shell reports a program that SIGPIPE ended.
  process.exitCode = 141;
}
