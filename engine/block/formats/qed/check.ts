/** `qemu-img check` of a QED (QEMU `block/qed-check.c`): every cluster referenced once, inside the file; the rest is leaked. */
import { wait, type Steps } from '../../../maybe.ts';
import type { CheckResult } from '../../format.ts';
import { Findings, UsedBlocks } from '../shared/findings.ts';
import type { QedDriver } from './driver.ts';

/** With `fix`, entries that point outside the file are cleared. */
export function* checkQed(driver: QedDriver, fix: boolean): Steps<CheckResult> {
  const checker = new QedCheck(
    driver,
    Math.floor((yield* wait(driver.storage.size())) / driver.clusterSize),
    fix,
  );
  yield* checker.run();
  return checker.findings.result;
}

class QedCheck {
  readonly findings = new Findings();
  readonly #driver: QedDriver;
  /** Whole clusters of the file. */
  readonly #clusters: number;
  readonly #fix: boolean;
  readonly #used = new UsedBlocks();

  constructor(driver: QedDriver, clusters: number, fix: boolean) {
    this.#driver = driver;
    this.#clusters = clusters;
    this.#fix = fix;
  }

  *run(): Steps<void> {
    const { header, entries, clusterSize, virtualSize } = this.#driver;
    const { result } = this.findings;
    result.totalClusters = Math.ceil(virtualSize / clusterSize);
    this.#take(BigInt(header.l1_table_offset), header.table_size);
    for (let index = 0; index < entries; index++) {
      const offset = yield* wait(this.#driver.entry(header.l1_table_offset, index));
      if (offset === 0n) continue;
      if (!this.#inside(offset, header.table_size))
        yield* this.#clear(header.l1_table_offset, index, offset, 'L1');
      else if (this.#take(offset, header.table_size)) yield* this.#checkTable(Number(offset));
    }
    this.#countLeaks(header.header_size);
  }

  /** A sparse file may have more clusters than anybody could walk: those that nobody could name are only counted. */
  #countLeaks(first: number): void {
    let left = Math.max(0, this.#clusters - first - this.#used.count);
    for (let cluster = first; left > 0 && !this.findings.full; cluster++) {
      if (this.#used.has(cluster)) continue;
      this.findings.leak(1, `cluster ${cluster} is not referenced`);
      left--;
    }
    if (left > 0) this.findings.leak(left, 'more clusters are not referenced');
  }

  *#checkTable(table: number): Steps<void> {
    const { result } = this.findings;
    let last = 0n;
    for (let index = 0; index < this.#driver.entries; index++) {
      const offset = yield* wait(this.#driver.entry(table, index));
      if (offset <= 1n) continue;
      result.allocatedClusters++;
      if (last !== 0n && last + BigInt(this.#driver.clusterSize) !== offset) result.fragmentedClusters++;
      last = offset;
      if (this.#inside(offset, 1)) this.#take(offset, 1);
      else yield* this.#clear(table, index, offset, 'L2');
    }
  }

  *#clear(table: number, index: number, offset: bigint, level: string): Steps<void> {
    if (this.#fix) yield* wait(this.#driver.setEntry(table, index, 0n));
    else
      this.findings.corruption(
        `${level} entry ${index} points at 0x${offset.toString(16)}, outside the file`,
      );
  }

  #inside(offset: bigint, clusters: number): boolean {
    const size = BigInt(this.#driver.clusterSize);
    const first = BigInt(this.#driver.header.header_size) * size;
    return (
      offset % size === 0n && offset >= first && offset / size + BigInt(clusters) <= BigInt(this.#clusters)
    );
  }

  /** Marks clusters as used; `false`, and a corruption for each, when one was used already. */
  #take(offset: bigint, clusters: number): boolean {
    const first = Number(offset / BigInt(this.#driver.clusterSize));
    let free = true;
    for (let cluster = first; cluster < first + clusters; cluster++) {
      if (this.#used.take(cluster)) continue;
      free = false;
      this.findings.corruption(`cluster ${cluster} is referenced twice`);
    }
    return free;
  }
}
