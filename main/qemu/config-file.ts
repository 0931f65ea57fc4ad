/** The content of a file that a `-readconfig` of the line stands for, once the person has chosen it. */
import { constants } from 'node:fs';
import { open, type FileHandle } from 'node:fs/promises';
import { basename } from 'node:path';
import type { PickedConfig } from '#contract/calls.ts';
import { MAX_CONFIG_BYTES } from '#contract/settings.ts';
import { PlatterError, toPlainError } from '#engine/errors.ts';

/**
 * Reads a whole text file of at most 1 MiB.
 * @throws PlatterError `config.too-large`, `config.not-text`, `config.not-a-file`, `config.no-permission`,
 * `config.cannot-read`
 */
export async function readConfigFile(path: string): Promise<PickedConfig> {
  const name = basename(path);
  let file: FileHandle | undefined;
  try {
    // Opening a named pipe would wait for whoever writes to it; Windows has neither the flag nor such files.
    file = await open(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
    if (!(await file.stat()).isFile()) {
      throw new PlatterError('config.not-a-file', `${name} is no regular file. Choose a text file.`, {
        image: name,
      });
    }
    return { name, text: decode(await readBounded(file, name), name) };
  } catch (error) {
    if (error instanceof PlatterError) throw error;
    const { errno = '' } = toPlainError(error).context;
    if (errno === 'EACCES' || errno === 'EPERM') {
      throw new PlatterError(
        'config.no-permission',
        `You have no permission to read ${name} (${errno}). Ask its owner for it, or choose another file.`,
        { image: name, errno },
        error,
      );
    }
    throw new PlatterError(
      'config.cannot-read',
      `${name} could not be read (${errno}). Choose another file.`,
      { image: name, errno },
      error,
    );
  } finally {
    await file?.close();
  }
}

/** What is there, whatever length the file claims: those of /proc claim none. */
async function readBounded(file: FileHandle, name: string): Promise<Uint8Array> {
  const bytes = new Uint8Array(MAX_CONFIG_BYTES + 1);
  let length = 0;
  while (length < bytes.length) {
    const { bytesRead } = await file.read(bytes, length, bytes.length - length, length);
    if (bytesRead === 0) return bytes.subarray(0, length);
    length += bytesRead;
  }
  throw new PlatterError(
    'config.too-large',
    `${name} has more than ${MAX_CONFIG_BYTES} bytes, which is more than a configuration of QEMU needs. Choose another file.`,
    { image: name, expected: `at most ${MAX_CONFIG_BYTES} bytes` },
  );
}

function decode(bytes: Uint8Array, name: string): string {
  const notText = (cause?: unknown): PlatterError =>
    new PlatterError(
      'config.not-text',
      `${name} is no UTF-8 text. Choose the file that -readconfig reads; disk images are attached instead.`,
      { image: name },
      cause,
    );
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (error) {
    throw notText(error);
  }
  if (text.includes('\0')) throw notText();
  return text;
}
