/** Incompatible features: an image with one that is not known must not be opened, and the person is told its name. */
import { PlatterError } from '../../../errors.ts';
import { CRYPT_LUKS, CRYPT_NAMES, INCOMPATIBLE, KNOWN_INCOMPATIBLE } from './constants.ts';
import type { Extensions } from './extensions.ts';
import type { Qcow2Header } from './header.ts';

/** Throws `qcow2.unknown-feature`, `qcow2.encrypted` or, for writing, `qcow2.corrupt`. */
export function checkFeatures(header: Qcow2Header, extensions: Extensions, readOnly: boolean): void {
  const unknown = header.incompatible & ~KNOWN_INCOMPATIBLE;
  if (unknown !== 0n) {
    const names = featureNames(unknown, extensions);
    throw new PlatterError(
      'qcow2.unknown-feature',
      `The image uses features that Platter does not know: ${names.join(', ')}`,
      {
        field: 'incompatible_features',
        offset: 72,
        value: names.join(', '),
        hint: 'It was written by a newer program: use that one.',
      },
    );
  }
  if (header.cryptMethod !== 0 && header.cryptMethod !== CRYPT_LUKS) {
    const method = CRYPT_NAMES[header.cryptMethod] ?? `method ${header.cryptMethod}`;
    throw new PlatterError(
      'qcow2.encrypted',
      `The image is encrypted in a way that Platter does not read (${method})`,
      {
        field: 'crypt_method',
        offset: 32,
        value: method,
        hint: 'Decrypt a copy with qemu-img convert.',
      },
    );
  }
  if (!readOnly && (header.incompatible & INCOMPATIBLE.corrupt) !== 0n) {
    throw new PlatterError('qcow2.corrupt', 'The image is marked corrupt and opens read-only', {
      field: 'incompatible_features',
      offset: 72,
      value: 'corrupt bit',
      hint: 'Open it read-only, or repair a copy of it.',
    });
  }
}

function featureNames(bits: bigint, extensions: Extensions): string[] {
  const names: string[] = [];
  for (let bit = 0; bit < 64; bit++) {
    if ((bits & (1n << BigInt(bit))) === 0n) continue;
    const known = extensions.featureNames.find(
      (feature) => feature.kind === 'incompatible' && feature.bit === bit,
    );
    names.push(known === undefined || known.name === '' ? `bit ${bit}` : known.name);
  }
  return names;
}
