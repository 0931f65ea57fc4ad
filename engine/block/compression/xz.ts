/** xz streams, bounded: not a byte more than a chunk may hold, and a dictionary of at most 64 MiB (the library's own bound). */

/** Exactly `size` bytes. Rejects when the stream is damaged, gives more or fewer, or has a check other than CRC-32 and CRC-64. */
export async function unpackXz(packed: Uint8Array, size: number): Promise<Uint8Array> {
  // WebAssembly, and only a few images need it: compiled when the first one does.
  const { default: library } = await import('xz-decompress');
  const source = new ReadableStream<Uint8Array>({
    start: (controller) => {
      controller.enqueue(packed);
      controller.close();
    },
  });
  const reader = new library.XzReadableStream(source).getReader();
  const bytes = new Uint8Array(size);
  let length = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    if (value.length > size - length) {
      // It may have come to its end by itself meanwhile, which the library takes amiss.
      await reader.cancel().catch(() => undefined);
      throw new Error(`more than ${size} bytes came out`);
    }
    bytes.set(value, length);
    length += value.length;
  }
  if (length !== size) throw new Error(`${length} bytes came out instead of ${size}`);
  return bytes;
}
