/** Vectors of the CPUs' local APICs, as the kernel hands them out to messages of devices (Linux's arch/x86/kernel/apic/vector.c). */

/** The first vector that Linux hands out on each CPU, and how many of one CPU are left for devices. */
const FIRST = 0x31;
const COUNT = 0xcf - FIRST;

export class ApicVectors {
  readonly #used: number[] = [];

  /** The next vector of the CPU; when there are none left, one that somebody has already. */
  take(cpu: number): number {
    const used = this.#used[cpu] ?? 0;
    this.#used[cpu] = used + 1;
    return FIRST + (used % COUNT);
  }
}

/** The vectors of one function: whoever initialises it again gets those that it had. */
export class FunctionVectors {
  readonly #vectors: ApicVectors;
  readonly #taken: { cpu: number; vector: number }[] = [];

  constructor(vectors: ApicVectors) {
    this.#vectors = vectors;
  }

  /** The vector of the function's nth message, which goes to this CPU. */
  of(entry: number, cpu: number): number {
    const known = this.#taken[entry];
    if (known?.cpu === cpu) return known.vector;
    const vector = this.#vectors.take(cpu);
    this.#taken[entry] = { cpu, vector };
    return vector;
  }
}
