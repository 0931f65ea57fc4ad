/** Progress on standard error, as qemu-img shows it: one line that is written over. */
import type { Io } from './io.ts';

export interface Progress {
  /** Bytes done of all. */
  show: (done: number, total: number) => void;
  /** Ends the line, so that what follows stands on one of its own. */
  end: () => void;
}

export function progressLine(io: Io): Progress {
  let last = '';
  return {
    show(done, total) {
      const text = `    (${(total === 0 ? 100 : (done / total) * 100).toFixed(2)}/100%)`;
      if (text !== last) io.err(`${text}\r`);
      last = text;
    },
    end() {
      if (last !== '') io.err('\n');
    },
  };
}
