/** A conversion as it was planned: opens what is to be read and lets the engine work. */
import { plainPath } from '../image-opts/plain-path.ts';
import { ConcatNode } from '#engine/block/filters/concat.ts';
import type { FormatNode } from '#engine/block/access.ts';
import { allowAll, type Gate } from '#engine/block/gate.ts';
import { openImage } from '#engine/block/graph.ts';
import { convert, convertInto } from '#engine/block/jobs/convert.ts';
import type { BlockNode } from '#engine/block/node.ts';
import { resolveReference } from '#engine/block/references.ts';
import { toPlainError } from '#engine/errors.ts';
import type { Conversion } from './plan.ts';
import { targetPath } from './target.ts';

export interface ConversionReports {
  signal: AbortSignal;
  onProgress?: (done: number, total: number) => void;
  /** A line about what went wrong without ending the job. */
  warn: (text: string) => void;
}

export async function runConversion(plan: Conversion, reports: ConversionReports): Promise<void> {
  const source = await openSources(plan);
  try {
    const path = targetPath(plan.into?.file ?? plainPath(plan.target), source);
    const shared = {
      compress: plan.compress,
      sparse: plan.sparse,
      rate: plan.rate,
      bitmaps: plan.bitmaps,
      signal: reports.signal,
      onProgress: reports.onProgress,
      onUnreadable: plan.salvage ? unreadable(reports.warn) : undefined,
    };
    const gate = targetGate(plan, path);
    if (plan.into !== undefined) {
      const { node } = await openImage(plan.into.source, { ...plan.into.open, readOnly: false, gate });
      try {
        const backed = plan.create['backing_file'] !== undefined;
        await convertInto(source, node, { ...shared, zeroed: plan.zeroed, backed });
      } finally {
        await node.close();
      }
      return;
    }
    await convert(source, path, {
      ...shared,
      format: plan.format,
      create: plan.create,
      overwrite: true,
      gate,
    });
  } finally {
    await source.close();
  }
}

async function openSources(plan: Conversion): Promise<BlockNode> {
  const nodes: FormatNode[] = [];
  try {
    for (const image of plan.sources) {
      const { node } = await openImage(image.source, {
        ...image.open,
        snapshot: plan.snapshot,
        gate: plan.follow ? allowAll : undefined,
        // Only what lies over the backing file is wanted: it need not be opened.
        backing: plan.create['backing_file'] === undefined || plan.follow ? 'require' : 'tolerate',
      });
      nodes.push(node);
    }
  } catch (error) {
    for (const node of nodes) await node.close();
    throw error;
  }
  return nodes.length === 1 ? nodes[0] : new ConcatNode(nodes);
}

/** The backing file that the person named for the target; with --follow what it names in turn as well. */
function targetGate(plan: Conversion, path: string): Gate {
  const backing = plan.create['backing_file'];
  if (plan.follow) return allowAll;
  const named = backing === undefined ? undefined : resolveReference(String(backing), path, plan.target);
  return { allow: ({ resolved }) => resolved === named };
}

/** One line for each stretch, not one for each sector of it. */
function unreadable(warn: (text: string) => void): (offset: number, length: number, error: unknown) => void {
  let end = -1;
  return (offset, length, error) => {
    if (offset !== end)
      warn(`the bytes from ${offset} on cannot be read and become zeroes: ${toPlainError(error).message}`);
    end = offset + length;
  };
}
