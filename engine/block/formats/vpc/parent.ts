/** Which file the parent of a differencing VHD is: its locators, then its name (specification, "Parent Locator Entry"). */
import { PlatterError } from '../../../errors.ts';
import { wait, type Steps } from '../../../maybe.ts';
import { FormatNode } from '../../access.ts';
import type { OpenContext } from '../../format.ts';
import type { Storage } from '../../storage/storage.ts';
import type { Parent } from './differencing.ts';
import { VpcDynamicDriver } from './driver.ts';
import { VpcFixedDriver } from './fixed.ts';
import type { VhdDynamicHeader } from './header.ts';

const LOCATORS = 8;
const LOCATOR_BYTES = 24;
/** A path on Windows has at most 32767 characters. */
const MAX_LOCATOR_BYTES = 65536;

/** The parent, opened through the gate. Throws `vpc.no-parent` and `vpc.parent-mismatch`. */
export function* openParent(storage: Storage, header: VhdDynamicHeader, context: OpenContext): Steps<Parent> {
  const reference = yield* parentReference(storage, header);
  if (reference === '') {
    throw new PlatterError('vpc.no-parent', `"${storage.name}" is a differencing disk and names no parent`, {
      image: storage.name,
      field: 'parent_name',
    });
  }
  const opened = yield* wait(context.openBacking(reference, 'vpc', 'parent'));
  yield* requireSame(
    storage.name,
    header.parent_uuid,
    opened.node instanceof FormatNode ? opened.node : undefined,
  );
  return { reference, node: opened.node, error: opened.error };
}

/** A parent that was replaced or changed gives nonsense: the identifier in its footer must be the one that the child names. */
function* requireSame(image: string, wanted: string, node: FormatNode | undefined): Steps<void> {
  const format = node?.format;
  if (format instanceof VpcDynamicDriver || format instanceof VpcFixedDriver) {
    const found = format.headers.footer.uuid;
    if (found === wanted) return;
    yield* wait(node?.close());
    throw new PlatterError(
      'vpc.parent-mismatch',
      `The parent of "${image}" has the identifier ${found}, expected ${wanted}`,
      {
        image,
        field: 'parent_uuid',
        value: found,
        expected: wanted,
        hint: 'The parent was replaced: find the disk from which this one was made.',
      },
    );
  }
}

/** A plain file name: the relative locator, the absolute one, or the name in the header. */
export function* parentReference(storage: Storage, header: VhdDynamicHeader): Steps<string> {
  const view = new DataView(header.parent_locator.buffer, header.parent_locator.byteOffset);
  const found = new Map<string, string>();
  const size = yield* wait(storage.size());
  for (let i = 0; i < LOCATORS; i++) {
    const at = i * LOCATOR_BYTES;
    const platform = String.fromCharCode(...header.parent_locator.subarray(at, at + 4));
    const length = view.getUint32(at + 8);
    const offset = Number(view.getBigUint64(at + 16));
    const fits = length > 0 && length <= MAX_LOCATOR_BYTES && offset + length <= size;
    if (!fits || (platform !== 'W2ru' && platform !== 'W2ku')) continue;
    const bytes = new Uint8Array(length);
    yield* wait(storage.read(offset, bytes));
    found.set(platform, new TextDecoder('utf-16le').decode(bytes));
  }
  const name = new TextDecoder('utf-16be').decode(header.parent_name);
  return plainPath(found.get('W2ru') ?? found.get('W2ku') ?? name);
}

/** Up to the first NUL, with slashes for backslashes and without a leading `./`. */
function plainPath(name: string): string {
  return name
    .split('\0')[0]
    .replaceAll('\\', '/')
    .replace(/^(\.\/)+/, '');
}
