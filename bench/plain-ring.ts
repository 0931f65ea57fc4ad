/** The peer: a split virtqueue as one would write it in ten minutes. Typed arrays, one chain of three, no check of anything. */

export interface PlainRing {
  /** Offers `count` chains, serves them, takes them back. */
  batch(count: number): void;
}

/** `copy`: bytes that the device copies for each chain, 0 for none. */
export function plainRing(size: number, copy = 0): PlainRing {
  const mask = size - 1;
  const addr = new Float64Array(size);
  const len = new Uint32Array(size);
  const flags = new Uint16Array(size);
  const next = new Uint16Array(size);
  const avail = new Uint16Array(size);
  const usedId = new Uint32Array(size);
  const usedLen = new Uint32Array(size);
  const memory = new Uint8Array(1 << 20);
  const disk = new Uint8Array(1 << 20);
  let availIdx = 0;
  let usedIdx = 0;
  let lastAvail = 0;
  let lastUsed = 0;
  const free: number[] = Array.from({ length: size }, (_, i) => size - 1 - i);

  const offer = (i: number): void => {
    const [a, b, c] = [free.pop() ?? 0, free.pop() ?? 0, free.pop() ?? 0];
    addr[a] = i * 8192;
    len[a] = 16;
    flags[a] = 1;
    next[a] = b;
    addr[b] = i * 8192 + 4096;
    len[b] = 4096;
    flags[b] = 3;
    next[b] = c;
    addr[c] = i * 8192 + 16;
    len[c] = 1;
    flags[c] = 2;
    avail[availIdx & mask] = a;
    availIdx = (availIdx + 1) & 0xffff;
  };
  const serve = (): void => {
    while (lastAvail !== availIdx) {
      const head = avail[lastAvail & mask];
      lastAvail = (lastAvail + 1) & 0xffff;
      let at = head;
      let bytes = 0;
      for (;;) {
        if ((flags[at] & 2) !== 0) {
          bytes += len[at];
          if (copy > 0 && len[at] === copy) memory.set(disk.subarray(addr[at], addr[at] + copy), addr[at]);
        }
        if ((flags[at] & 1) === 0) break;
        at = next[at];
      }
      memory[addr[at]] = 0;
      usedId[usedIdx & mask] = head;
      usedLen[usedIdx & mask] = bytes;
      usedIdx = (usedIdx + 1) & 0xffff;
    }
  };
  const takeBack = (): void => {
    while (lastUsed !== usedIdx) {
      let at = usedId[lastUsed & mask];
      lastUsed = (lastUsed + 1) & 0xffff;
      for (;;) {
        free.push(at);
        if ((flags[at] & 1) === 0) break;
        at = next[at];
      }
    }
  };
  return {
    batch: (count) => {
      for (let i = 0; i < count; i++) offer(i);
      serve();
      takeBack();
    },
  };
}
