/** SMART as QEMU's disks have it: fixed attributes, a log of self-tests that always go well (hw/ide/core.c). */
import { SECTOR } from './ata.ts';

export const SMART = {
  readData: 0xd0,
  readThresholds: 0xd1,
  autosave: 0xd2,
  executeOffline: 0xd4,
  readLog: 0xd5,
  enable: 0xd8,
  disable: 0xd9,
  status: 0xda,
} as const;

/** Id, flags (2), value, worst, raw (6), threshold. */
const ATTRIBUTES: readonly (readonly number[])[] = [
  [0x01, 0x03, 0x00, 0x64, 0x64, 0, 0, 0, 0, 0, 0, 0x06],
  [0x03, 0x03, 0x00, 0x64, 0x64, 0x10, 0, 0, 0, 0, 0, 0x00],
  [0x04, 0x02, 0x00, 0x64, 0x64, 0x64, 0, 0, 0, 0, 0, 0x14],
  [0x05, 0x03, 0x00, 0x64, 0x64, 0, 0, 0, 0, 0, 0, 0x24],
  [0x09, 0x03, 0x00, 0x64, 0x64, 0x01, 0, 0, 0, 0, 0, 0x00],
  [0x0c, 0x03, 0x00, 0x64, 0x64, 0, 0, 0, 0, 0, 0, 0x00],
  [0xbe, 0x03, 0x00, 0x45, 0x45, 0x1f, 0, 0x1f, 0x1f, 0, 0, 0x32],
];
const ATTRIBUTE = 12;
const CHECKSUM = SECTOR - 1;
/** Entries of the self-test log. */
const TESTS = 21;
const TEST = 24;

export class Smart {
  enabled: boolean;
  autosave = true;
  #tests = 0;
  readonly #log = new Uint8Array(SECTOR);

  constructor(enabled: boolean) {
    this.enabled = enabled;
  }

  /** SMART READ DATA: one sector. */
  data(): Uint8Array {
    const page = new Uint8Array(SECTOR);
    page[0] = 1;
    ATTRIBUTES.forEach((attribute, i) => page.set(attribute.slice(0, ATTRIBUTE - 1), 2 + i * ATTRIBUTE));
    page[362] = 0x02 | (this.autosave ? 0x80 : 0);
    page[363] = this.#tests === 0 ? 0 : this.#log[3 + (this.#tests - 1) * TEST];
    page[364] = 0x20;
    page[365] = 0x01;
    // Capabilities: self-tests and offline collection; saving; error log. Minutes of the three tests.
    page.set([0x19, 0x03, 0, 0x01, 0, 0x02, 0x36, 0x01], 367);
    return closed(page);
  }

  thresholds(): Uint8Array {
    const page = new Uint8Array(SECTOR);
    page[0] = 1;
    ATTRIBUTES.forEach((attribute, i) =>
      page.set([attribute[0], attribute[ATTRIBUTE - 1]], 2 + i * ATTRIBUTE),
    );
    return closed(page);
  }

  /** SMART READ LOG: 1 is the summary of errors, 6 the self-tests; undefined for any other. */
  log(address: number): Uint8Array | undefined {
    const page = new Uint8Array(SECTOR);
    page[0] = 1;
    if (address === 1) return closed(page);
    if (address !== 6) return undefined;
    if (this.#tests > 0) {
      page.set(this.#log.subarray(2, 506), 2);
      page[508] = this.#tests;
    }
    return closed(page);
  }

  /** SMART EXECUTE OFFLINE IMMEDIATE: 0 to 2 are known; the test is done at once. */
  test(kind: number): boolean {
    if (kind > 2) return false;
    this.#tests = this.#tests >= TESTS ? 1 : this.#tests + 1;
    // Done without error, after 0x1234 hours.
    this.#log.set([kind, 0, 0x34, 0x12], 2 + (this.#tests - 1) * TEST);
    return true;
  }
}

/** With the byte that makes the sum of all bytes 0. */
function closed(page: Uint8Array): Uint8Array {
  let sum = 0;
  for (let i = 0; i < CHECKSUM; i++) sum += page[i];
  page[CHECKSUM] = -sum & 0xff;
  return page;
}
