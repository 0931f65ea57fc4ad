/** Parallels, the format of Parallels Desktop and Virtuozzo. */
import { PlatterError } from '../../../errors.ts';
import { run, wait, type Steps } from '../../../maybe.ts';
import type { FormatDescriptor, FormatDriver, OpenContext } from '../../format.ts';
import type { Storage } from '../../storage/storage.ts';
import { latin1 } from '../shared/layout.ts';
import { createParallels } from './create.ts';
import { ParallelsDriver } from './driver.ts';
import { readExtension } from './extension.ts';
import { IN_USE, MAGIC_CLUSTERS, MAGIC_SECTORS, readParallelsHeader } from './header.ts';

export const parallels: FormatDescriptor = {
  name: 'parallels',
  probe: (head) => {
    const magic = latin1(head.subarray(0, 16));
    return (magic === MAGIC_SECTORS || magic === MAGIC_CLUSTERS) && head[16] === 2 ? 100 : 0;
  },
  open: (storage, context) => run(open(storage, context)),
  create: createParallels,
};

function* open(storage: Storage, context: OpenContext): Steps<FormatDriver> {
  const header = yield* readParallelsHeader(storage);
  if (header.ext_off === 0) {
    const driver = new ParallelsDriver(storage, header, [], context.readOnly);
    // Not closed cleanly: whoever writes repairs first.
    if (!context.readOnly && header.inuse === IN_USE && context.repair !== true) {
      yield* wait(driver.repair('all'));
    }
    return driver;
  }
  if (!context.readOnly) {
    throw new PlatterError(
      'parallels.extension-write',
      `"${storage.name}" has a format extension, which writing would falsify`,
      {
        image: storage.name,
        field: 'ext_off',
        offset: 56,
        hint: 'Open it read-only, or convert it.',
      },
    );
  }
  return new ParallelsDriver(storage, header, yield* readExtension(storage, header), true);
}
