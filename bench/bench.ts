/**
 * What a file `bench/<what>.bench.ts` exports: `name` and `run`. `npm run bench` (`bench/run.ts`) loads each, calls `run` and
 * waits for it; `npm run bench -- ring qcow2` runs those whose name contains one of the words.
 *
 * `run` measures both sides in the same run, on the same data, both warm, and calls `report` once for each comparison. It
 * throws when it cannot measure (a peer is missing, a result is wrong): the runner goes on and ends with exit code 1.
 */
export interface Bench {
  /** What is measured, in a few words; the start of each line. */
  readonly name: string;
  run(report: (line: BenchLine) => void): Promise<void>;
}

/** One comparison. Prints as `name: what  ours unit, peer theirs unit, ratio`. */
export interface BenchLine {
  /** Which case: `randread 4k, depth 1`. */
  what: string;
  /** Our figure and that of the peer, in `unit`. */
  ours: number;
  theirs: number;
  /** The peer's name, with its version where it has one: `qemu-img bench 7.2.22`. */
  peer: string;
  /** `MiB/s`, `requests/s`, `ms`, … */
  unit: string;
  /** Whether a larger figure is the better one; the ratio is always "so many times as good as the peer". */
  better: 'higher' | 'lower';
  /** The processor's time of both sides for the same work, seconds, where it was measured. */
  cpu?: { ours: number; theirs: number };
}

/** How many times as good as the peer: above 1 is ahead, whatever the unit. */
export function ratio(line: Pick<BenchLine, 'ours' | 'theirs' | 'better'>): number {
  return line.better === 'higher' ? line.ours / line.theirs : line.theirs / line.ours;
}

/** The line as it is printed. */
export function format(name: string, line: BenchLine): string {
  const figure = (value: number): string =>
    value >= 1000 ? Math.round(value).toLocaleString('en') : String(Number(value.toPrecision(4)));
  return (
    `${name}: ${line.what}: ${figure(line.ours)} ${line.unit}, ` +
    `${line.peer} ${figure(line.theirs)} ${line.unit}, ratio ${ratio(line).toFixed(2)}` +
    (line.cpu === undefined ? '' : ` (processor's time ${(line.cpu.theirs / line.cpu.ours).toFixed(2)})`)
  );
}

/** The middle one of several figures: neither the lucky nor the disturbed run. */
export function median(figures: readonly number[]): number {
  const sorted = figures.toSorted((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}
