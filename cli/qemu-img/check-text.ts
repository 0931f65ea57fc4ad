/** `qemu-img check` for people and as JSON (`qemu-img.c`, dump_human_image_check; QAPI: ImageCheck). */
import type { CheckResult } from '#contract/images.ts';
import type { QemuObject } from './order.ts';

export interface Fixed {
  corruptions: number;
  leaks: number;
}

export function checkText(check: CheckResult): string {
  const lines: string[] = [];
  if (check.corruptions + check.leaks + check.checkErrors === 0) {
    lines.push('No errors were found on the image.');
  }
  if (check.corruptions > 0) {
    lines.push(
      '',
      `${check.corruptions} errors were found on the image.`,
      'Data may be corrupted, or further writes to the image may corrupt it.',
    );
  }
  if (check.leaks > 0) {
    lines.push(
      '',
      `${check.leaks} leaked clusters were found on the image.`,
      'This means waste of disk space, but no harm to data.',
    );
  }
  if (check.checkErrors > 0)
    lines.push('', `${check.checkErrors} internal errors have occurred during the check.`);
  if (check.totalClusters > 0 && check.allocatedClusters > 0) {
    const part = (count: number, of: number): string => `${((count * 100) / of).toFixed(2)}%`;
    lines.push(
      `${check.allocatedClusters}/${check.totalClusters} = ${part(check.allocatedClusters, check.totalClusters)} allocated, ` +
        `${part(check.fragmentedClusters, check.allocatedClusters)} fragmented, ` +
        `${part(check.compressedClusters, check.allocatedClusters)} compressed clusters`,
    );
  }
  if (check.imageEndOffset > 0) lines.push(`Image end offset: ${check.imageEndOffset}`);
  return `${lines.join('\n')}\n`;
}

/** Between the two checks of a repair. */
export function repairText(fixed: Fixed): string {
  if (fixed.corruptions + fixed.leaks === 0) return '';
  return (
    `The following inconsistencies were found and repaired:\n\n    ${fixed.leaks} leaked clusters\n` +
    `    ${fixed.corruptions} corruptions\n\nDouble checking the fixed image now...\n`
  );
}

export function checkObject(check: CheckResult, format: string, filename: string, fixed: Fixed): QemuObject {
  const object: QemuObject = { filename, format, 'check-errors': check.checkErrors };
  const add = (name: string, value: number): void => {
    if (value > 0) object[name] = value;
  };
  add('image-end-offset', check.imageEndOffset);
  add('corruptions', check.corruptions);
  add('leaks', check.leaks);
  add('corruptions-fixed', fixed.corruptions);
  add('leaks-fixed', fixed.leaks);
  add('total-clusters', check.totalClusters);
  add('allocated-clusters', check.allocatedClusters);
  add('fragmented-clusters', check.fragmentedClusters);
  add('compressed-clusters', check.compressedClusters);
  return object;
}
