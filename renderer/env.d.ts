import type { Bridge } from '#contract/bridge.ts';

declare global {
  interface Window {
    /** Present when the page runs inside Platter's window. */
    platter?: Bridge;
  }
}
