/** Runs an image's check and keeps what it found. */
import type { ImageHandle } from '#contract/images.ts';
import { asPlainError, platter } from '../../lib/platter.ts';
import { viewOf } from './view.ts';

export async function runCheck(handle: ImageHandle): Promise<void> {
  const { check } = viewOf(handle);
  if (check.running) return;
  check.running = true;
  check.error = null;
  try {
    check.result = await platter.call('images.check', handle);
  } catch (error) {
    check.result = null;
    check.error = asPlainError(error);
  } finally {
    check.running = false;
  }
}
