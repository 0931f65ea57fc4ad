/** Opens what is bound to the drives of a lab's command line, as the binding's mode says. */
import { OverlayNode } from '#engine/block/filters/overlay.ts';
import type { Gate } from '#engine/block/gate.ts';
import { openImage, type OpenOptions } from '#engine/block/graph.ts';
import type { BlockNode } from '#engine/block/node.ts';
import { PlatterError } from '#engine/errors.ts';
import type { CommandLine } from '#engine/qemu/model.ts';
import { storageModel, type BlockNode as LineNode } from '#engine/qemu/storage-model.ts';
import type { Binding } from '#contract/settings.ts';
import type { Passphrases } from '../images/keyring.ts';
import type { ImageFile, LabBuild } from '../processes/protocol.ts';
import { secretFrom } from './unlock.ts';

/** Open nodes by the drive's id. */
export type Drives = ReadonlyMap<string, BlockNode>;

/**
 * Opens every binding. A failure leaves nothing open.
 * @param gateOf the gate of an image, by its handle
 * @throws PlatterError what `openImage` throws, with the drive's id as `option`
 */
export async function openDrives(
  build: LabBuild,
  line: CommandLine,
  gateOf: (handle: string) => Gate,
): Promise<Drives> {
  const drives = new Map<string, BlockNode>();
  const secret = secretFrom(build.passphrases);
  try {
    for (const binding of build.config.bindings) {
      const path = build.files.find((file) => file.handle === binding.image)?.path;
      if (path === undefined || drives.has(binding.driveId)) continue;
      drives.set(
        binding.driveId,
        await openOne(path, binding, line, { gate: gateOf(binding.image), secret }),
      );
    }
    return drives;
  } catch (error) {
    await closeDrives(drives);
    throw error;
  }
}

/** Opens an image as a disc: nothing can be written to it. Throws what `openImage` throws. */
export async function openDisc(
  { path }: ImageFile,
  passphrases: Passphrases,
  gate: Gate,
): Promise<BlockNode> {
  const { node } = await openImage(path, { readOnly: true, gate, secret: secretFrom(passphrases) });
  return node;
}

/** Closes all of them; the first failure is thrown when every one was tried. */
export async function closeDrives(drives: { values(): Iterable<BlockNode> }): Promise<void> {
  const failures: unknown[] = [];
  for (const node of drives.values()) {
    try {
      await node.close();
    } catch (error) {
      failures.push(error);
    }
  }
  if (failures.length > 0) throw failures[0];
}

async function openOne(
  path: string,
  binding: Binding,
  line: CommandLine,
  consent: Pick<OpenOptions, 'gate' | 'secret'>,
): Promise<BlockNode> {
  try {
    const format = driveFormat(line, binding.driveId);
    const { node } = await openImage(path, { readOnly: binding.mode !== 'write', format, ...consent });
    return binding.mode === 'overlay' ? new OverlayNode(node) : node;
  } catch (error) {
    throw error instanceof PlatterError ? error.within({ option: binding.driveId }) : error;
  }
}

/**
 * The image format that the line gives a drive or a block node; undefined when QEMU would probe, and then so do we. A line that
 * says `raw` of a qcow2 file gets the file's bytes, as in QEMU.
 */
export function driveFormat(line: CommandLine, id: string): string | undefined {
  const model = storageModel(line);
  const drive = model.driveById.get(id);
  if (drive !== undefined) return drive.format;
  let node: LineNode | undefined = model.nodeByName.get(id);
  while (node !== undefined && node.layer === 'filter') node = node.children[0]?.node;
  // A node of the protocol itself has no format: the guest gets the file's bytes.
  return node?.layer === 'protocol' ? 'raw' : node?.driver;
}
