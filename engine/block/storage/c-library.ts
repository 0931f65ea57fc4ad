/**
 * The functions of the C library that Node does not have, called through koffi: loaded when one is asked for the first time (some 20 ms
 * that no other command shall pay). Only plain calls: memory that is not V8's own ends an Electron process.
 */
import { createRequire } from 'node:module';
import { once } from '../once.ts';

type Koffi = typeof import('koffi');

export interface CLibrary {
  func: ReturnType<Koffi['load']>['func'];
  /** Of the call before. */
  errno(): number;
}

/** Undefined on 32-bit systems (whose offsets count 2 GiB), and where koffi has no binary for the system. */
export const cLibrary = once(load);

function load(): CLibrary | undefined {
  if (['ia32', 'arm'].includes(process.arch)) return undefined;
  try {
    const koffi = createRequire(import.meta.url)('koffi') as Koffi;
    const library = koffi.load(null);
    return { func: library.func.bind(library), errno: () => koffi.errno() };
  } catch {
    return undefined;
  }
}
