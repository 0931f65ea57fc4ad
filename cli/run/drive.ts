/** The drive of the device that is to be run: what the line says of it, and the image behind it. */
import { OverlayNode } from '#engine/block/filters/overlay.ts';
import { allowAll } from '#engine/block/gate.ts';
import { openImage } from '#engine/block/graph.ts';
import type { BlockNode } from '#engine/block/node.ts';
import { PlatterError } from '#engine/errors.ts';
import type { CommandLine } from '#engine/qemu/model.ts';
import { storageModel, type BlockNode as LineNode } from '#engine/qemu/storage-model.ts';

export interface DriveSource {
  /** The file, as it was named. */
  path: string;
  /** QEMU's driver name; undefined when QEMU would find it out. */
  format?: string;
}

/**
 * The file behind a drive: what `--image` names, or `file=` of the line. Throws `cli.no-image` when neither does.
 * @param bindings `--image`: `ID=PATH`, or a path alone for the drive that is run
 */
export function driveSource(line: CommandLine, drive: string, bindings: readonly string[]): DriveSource {
  const { path, format } = fromLine(line, drive);
  const bound = bindings.map(splitBinding).findLast(({ id }) => id === undefined || id === drive)?.path;
  const chosen = bound ?? path;
  if (chosen === undefined) {
    throw new PlatterError('cli.no-image', `the line names no file for the drive ${drive}`, {
      option: '--image',
      value: drive,
      hint: `Name one: --image ${drive}=disk.qcow2`,
    });
  }
  return { path: chosen, format };
}

/** `ID=PATH`, where the id is one that QEMU would take; everything else is a path. */
function splitBinding(text: string): { id?: string; path: string } {
  const match = /^([A-Za-z][A-Za-z0-9._-]*)=(.+)$/s.exec(text);
  return match === null ? { path: text } : { id: match[1], path: match[2] };
}

function fromLine(line: CommandLine, id: string): { path?: string; format?: string } {
  const model = storageModel(line);
  const drive = model.driveById.get(id);
  if (drive !== undefined) return { path: drive.file, format: drive.format };
  let node: LineNode | undefined = model.nodeByName.get(id);
  while (node !== undefined && node.layer === 'filter') node = node.children[0]?.node;
  if (node === undefined) return {};
  // A node of the protocol itself has no format: the guest gets the file's bytes.
  if (node.layer === 'protocol') return { path: node.filename, format: 'raw' };
  return { path: node.children.find(({ role }) => role === 'file')?.node?.filename, format: node.driver };
}

/** Opens it; unless `write`, what is written goes to memory. */
export async function openDrive(
  source: DriveSource,
  options: { write: boolean; follow: boolean },
): Promise<BlockNode> {
  const gate = options.follow ? allowAll : undefined;
  const { node } = await openImage(source.path, { format: source.format, readOnly: !options.write, gate });
  return options.write ? node : new OverlayNode(node);
}
