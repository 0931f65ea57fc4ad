/**
 * Two ways of the same work in turns, so that what else the machine does troubles both alike: how long they took, and on Linux the
 * processor's time, which another program on the same processors hardly changes.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { median } from './bench.ts';

/** Of one side, seconds. */
export interface Took {
  /** The middle of the rounds. */
  wall: number;
  /** Of all threads, the mean of the rounds; undefined where the system does not tell. */
  cpu: number | undefined;
}

export interface Pair {
  ours: Took;
  theirs: Took;
}

/**
 * `ours` runs in this process, `theirs` waits for a program that it starts. Either may answer the seconds that count instead of all that
 * passed. `start`: what starting the program alone takes, which is taken off.
 */
export async function inTurns(
  rounds: number,
  ours: () => unknown,
  theirs: () => unknown,
  start: Took = { wall: 0, cpu: 0 },
): Promise<Pair> {
  const walls = { ours: [] as number[], theirs: [] as number[] };
  let [ownCpu, childCpu]: (number | undefined)[] = [0, 0];
  for (let round = 0; round < rounds; round++) {
    const children = childSeconds();
    walls.theirs.push(await seconds(theirs));
    childCpu = plus(childCpu, childSeconds(), children);
    const own = process.cpuUsage();
    walls.ours.push(await seconds(ours));
    const { user, system } = process.cpuUsage(own);
    ownCpu = plus(ownCpu, (user + system) / 1e6, 0);
  }
  const each = (sum: number | undefined, less = 0): number | undefined =>
    sum === undefined ? undefined : Math.max(LEAST, sum / rounds - less);
  return {
    ours: { wall: median(walls.ours), cpu: each(childCpu === undefined ? undefined : ownCpu) },
    theirs: { wall: Math.max(LEAST, median(walls.theirs) - start.wall), cpu: each(childCpu, start.cpu) },
  };
}

/** For a `BenchLine`. */
export function cpuOf({ ours, theirs }: Pair): { ours: number; theirs: number } | undefined {
  if (ours.cpu === undefined || theirs.cpu === undefined) return undefined;
  return { ours: ours.cpu, theirs: theirs.cpu };
}

/** What starting a program alone takes. */
export function emptyStart(command: string): Took {
  const rounds = 10;
  const children = childSeconds();
  const took = Array.from({ length: rounds }, () => {
    const start = performance.now();
    spawnSync(command, ['--version']);
    return (performance.now() - start) / 1000;
  });
  const cpu = plus(0, childSeconds(), children);
  return { wall: median(took), cpu: cpu === undefined ? undefined : cpu / rounds };
}

/** Nothing is measured to take no time at all. */
const LEAST = 1e-4;

async function seconds(work: () => unknown): Promise<number> {
  const start = performance.now();
  const said = await work();
  return typeof said === 'number' ? said : (performance.now() - start) / 1000;
}

function plus(
  sum: number | undefined,
  now: number | undefined,
  before: number | undefined,
): number | undefined {
  return sum === undefined || now === undefined || before === undefined ? undefined : sum + now - before;
}

/** Linux counts in hundredths of a second (proc(5), `cutime` and `cstime`). */
const TICKS = 100;

/** The processor's time of all programs that were waited for so far. */
function childSeconds(): number | undefined {
  const file = '/proc/self/stat';
  if (!existsSync(file)) return undefined;
  // The name in parentheses may hold anything.
  const fields = readFileSync(file, 'latin1')
    .replace(/^.*\) /s, '')
    .split(' ');
  return (Number(fields[13]) + Number(fields[14])) / TICKS;
}
