/** The options of LUKS inside another format: `encrypt.key-secret` and so on. */
import type { CreateOptions } from '../../format.ts';
import { choice } from '../shared/options.ts';

const PREFIX = 'encrypt.';

/**
 * Those of a new image under the names that LUKS itself has; undefined when it is not to be encrypted. `encrypt.format` must be
 * `luks`: QEMU's older AES is not made. Throws `block.bad-option`.
 */
export function encryptOptions(
  options: Omit<CreateOptions, 'size'>,
): Omit<CreateOptions, 'size'> | undefined {
  if (options['encrypt.format'] === undefined) return undefined;
  choice(options, 'encrypt.format', ['luks']);
  return Object.fromEntries(
    Object.entries(options)
      .filter(([name]) => name.startsWith(PREFIX) && name !== 'encrypt.format')
      .map(([name, value]) => [name.slice(PREFIX.length), value]),
  );
}
