/**
 * Buffers that start on a page. The kernel copies out of the page cache several times as fast into them: a buffer of the ordinary
 * allocator starts a few bytes past a page, which defeats the processor's fast copying for reads of 512 KiB and more.
 */

/** Bytes of one page of WebAssembly memory, the only memory of JavaScript whose start is aligned for certain. */
const PAGE = 65536;

/** The compiler knows WebAssembly only together with the DOM. */
const { Memory } = (
  globalThis as unknown as {
    WebAssembly: {
      Memory: new (pages: { initial: number; maximum?: number; shared?: boolean }) => {
        readonly buffer: ArrayBuffer;
      };
    };
  }
).WebAssembly;

/**
 * `length` bytes of zeroes that start on a page. Each takes address space of its own: for the few buffers that a job or a device
 * keeps, not for single requests.
 */
export function alignedBuffer(length: number): Uint8Array<ArrayBuffer> {
  const memory = new Memory({ initial: Math.ceil(length / PAGE) });
  return new Uint8Array(memory.buffer, 0, length);
}

/** The same in memory that worker threads share. */
export function sharedBuffer(length: number): Uint8Array {
  const pages = Math.ceil(length / PAGE);
  const memory = new Memory({ initial: pages, maximum: pages, shared: true });
  return new Uint8Array(memory.buffer, 0, length);
}
