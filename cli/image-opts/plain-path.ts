/** File names on the command line, as QEMU reads them (`block.c`, path_has_protocol, bdrv_find_protocol). */
import { existsSync } from 'node:fs';
import { PlatterError } from '#engine/errors.ts';

/** A colon before the first slash, as in `nbd://host`; one letter is a drive of Windows. */
const PROTOCOL = /^([A-Za-z][A-Za-z0-9+.-]+):/;

/** `file:a:b` is the file `./a:b`. Throws `image-opts.no-protocol` for another protocol, unless there is a file of that name. */
export function plainPath(text: string): string {
  const protocol = PROTOCOL.exec(text)?.[1];
  if (protocol === undefined || existsSync(text)) return text;
  if (protocol === 'file' && !text.startsWith('file://')) {
    const path = text.slice('file:'.length);
    return PROTOCOL.test(path) ? `./${path}` : path;
  }
  throw new PlatterError('image-opts.no-protocol', `"${text}" asks for the protocol "${protocol}"`, {
    value: protocol,
    hint: 'Platter opens files. One with a colon in its name is ./NAME.',
  });
}
