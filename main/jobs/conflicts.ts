/** Who may work on which files at the same time: many readers, or one writer. Pure. */

export interface UsedPaths {
  /** Real paths, backing chains included. */
  reads: readonly string[];
  writes: readonly string[];
}

/** The path that keeps the two from going on at the same time; undefined when nothing does. */
export function conflict(mine: UsedPaths, theirs: UsedPaths): string | undefined {
  const all = (used: UsedPaths): readonly string[] => [...used.writes, ...used.reads];
  return (
    all(mine).find((path) => theirs.writes.includes(path)) ??
    mine.writes.find((path) => theirs.reads.includes(path))
  );
}
