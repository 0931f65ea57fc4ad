/** The bundled sample image: the person gets a copy in the data folder, to do with as they like. */
import { access, mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import sample from '#resources/samples/sample.qcow2?asset';

/** @returns the path of the copy, made unless it is there already */
export async function sampleCopy(userData: string): Promise<string> {
  const folder = join(userData, 'samples');
  const path = join(folder, 'sample.qcow2');
  if (await exists(path)) return path;
  await mkdir(folder, { recursive: true });
  const temporary = `${path}.tmp`;
  await writeFile(temporary, await readFile(sample));
  await rename(temporary, path);
  return path;
}

async function exists(path: string): Promise<boolean> {
  try {
    await access(path);
    return true;
  } catch {
    return false;
  }
}
