/** The anti-forensic splitter (LUKS1 specification 1.2.3, section 2.4): a key spread so that losing any part of it loses all. */
import { createHash, randomFillSync } from 'node:crypto';

/** The key out of its stripes. `hash`: a name of Node's crypto. */
export function merge(material: Uint8Array, keyBytes: number, stripes: number, hash: string): Uint8Array {
  let state: Uint8Array = new Uint8Array(keyBytes);
  for (let stripe = 0; stripe < stripes; stripe++) {
    combine(state, material.subarray(stripe * keyBytes, (stripe + 1) * keyBytes));
    if (stripe < stripes - 1) state = diffuse(state, hash);
  }
  return state;
}

/** `stripes` stripes of the key's length that `merge` turns into the key. */
export function split(key: Uint8Array, stripes: number, hash: string): Uint8Array {
  const material = new Uint8Array(key.length * stripes);
  randomFillSync(material, 0, key.length * (stripes - 1));
  let state: Uint8Array = new Uint8Array(key.length);
  for (let stripe = 0; stripe < stripes - 1; stripe++) {
    combine(state, material.subarray(stripe * key.length, (stripe + 1) * key.length));
    state = diffuse(state, hash);
  }
  combine(state, key);
  material.set(state, key.length * (stripes - 1));
  return material;
}

/** Each digest-sized piece is replaced by the hash of its number and itself. */
function diffuse(state: Uint8Array, hash: string): Uint8Array {
  const result = new Uint8Array(state.length);
  const number = new Uint8Array(4);
  const digestBytes = createHash(hash).digest().length;
  for (let at = 0, index = 0; at < state.length; at += digestBytes, index++) {
    new DataView(number.buffer).setUint32(0, index);
    const piece = state.subarray(at, at + digestBytes);
    const digest = createHash(hash).update(number).update(piece).digest();
    result.set(digest.subarray(0, piece.length), at);
  }
  return result;
}

function combine(state: Uint8Array, other: Uint8Array): void {
  for (let i = 0; i < state.length; i++) state[i] ^= other[i];
}
