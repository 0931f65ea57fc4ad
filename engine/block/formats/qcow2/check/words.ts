/** What a check says of an entry, in QEMU's words (`block/qcow2-refcount.c`), so that its log can be looked up. */

/** The 64 bits of an entry in hexadecimal. */
export function entryText(high: number, low: number): string {
  return ((BigInt(high >>> 0) << 32n) | BigInt(low >>> 0)).toString(16);
}

export function copiedL2(index: number, high: number, low: number, refcount: number): string {
  return `OFLAG_COPIED L2 cluster: l1_index=${index} l1_entry=${entryText(high, low)} refcount=${refcount}`;
}

export function copiedData(high: number, low: number, refcount: number): string {
  return `OFLAG_COPIED data cluster: l2_entry=${entryText(high, low)} refcount=${refcount}`;
}

export function misaligned(offset: number, kind: 'Data' | 'Preallocated'): string {
  return `offset=${offset.toString(16)}: ${kind} cluster is not properly aligned; L2 entry corrupted.`;
}
