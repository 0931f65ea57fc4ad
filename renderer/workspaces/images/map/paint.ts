/** Draws block kinds on a canvas: colours from the design tokens, hatches besides. */
import { KIND_MARK, type BlockKind, type Hatch } from '../../../design/kinds.ts';
import { SLOTS } from './extents.ts';

export interface Palette {
  /** One for each slot. */
  fill: string[];
  mark: string;
  ground: string;
  line: string;
  accent: string;
  text: string;
}

/** Reads the present theme's colours. */
export function readPalette(element: Element): Palette {
  const style = getComputedStyle(element);
  const token = (name: string) => style.getPropertyValue(name).trim();
  return {
    fill: SLOTS.map(({ kind, level }) => token(level > 1 ? `--kind-${kind}-${level}` : `--kind-${kind}`)),
    mark: token('--kind-mark'),
    ground: token('--surface'),
    line: token('--border'),
    accent: token('--accent'),
    text: token('--text'),
  };
}

/** Fits the canvas to its box at the screen's resolution; answers its context and its size in CSS pixels. */
export function fit(
  canvas: HTMLCanvasElement,
): { pen: CanvasRenderingContext2D; width: number; height: number } | null {
  const pen = canvas.getContext('2d');
  const { width, height } = canvas.getBoundingClientRect();
  if (pen === null || width < 1 || height < 1) return null;
  const ratio = devicePixelRatio;
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  return { pen, width, height };
}

/** Marks a rectangle with its kind's hatch. */
export function hatch(
  pen: CanvasRenderingContext2D,
  kind: Hatch,
  x: number,
  y: number,
  w: number,
  h: number,
): void {
  if (kind === 'none' || w < 5 || h < 5) return;
  pen.beginPath();
  if (kind === 'dot') {
    pen.rect(x + Math.floor(w / 2) - 1, y + Math.floor(h / 2) - 1, 2, 2);
    pen.fill();
    return;
  }
  if (kind === 'level') {
    pen.moveTo(x + 2, y + Math.floor(h / 2) + 0.5);
    pen.lineTo(x + w - 2, y + Math.floor(h / 2) + 0.5);
  }
  if (kind === 'upright') {
    for (let at = x + 2.5; at < x + w - 1; at += 3) {
      pen.moveTo(at, y + 1);
      pen.lineTo(at, y + h - 1);
    }
  }
  if (kind === 'rising' || kind === 'cross') {
    pen.moveTo(x + 1, y + h - 1);
    pen.lineTo(x + w - 1, y + 1);
    pen.moveTo(x + 1, y + h / 2);
    pen.lineTo(x + w / 2, y + 1);
    pen.moveTo(x + w / 2, y + h - 1);
    pen.lineTo(x + w - 1, y + h / 2);
  }
  if (kind === 'cross') {
    pen.moveTo(x + 1, y + 1);
    pen.lineTo(x + w - 1, y + h - 1);
  }
  pen.stroke();
}

/** Colours from the strongest statement to the weakest: what is stored stands at the bottom of a mixed cell. */
const ORDER: BlockKind[] = ['data', 'compressed', 'backing', 'metadata', 'zero', 'unallocated'];
const STACK = ORDER.flatMap((kind) => SLOTS.flatMap((slot, index) => (slot.kind === kind ? [index] : [])));

/** Of a cell's height, for the smallest share of it. */
const LEAST_SHARE = 0.2;

/**
 * One cell whose kinds stand one above the other by their share of bytes; a kind that is there at all is high enough to
 * be seen, so that a mebibyte shows on the map of ten tebibytes. A cell of one kind gets its hatch.
 */
export function paintCell(
  pen: CanvasRenderingContext2D,
  palette: Palette,
  shares: Float64Array,
  cell: number,
  box: { x: number; y: number; w: number; h: number },
  marks: boolean,
): void {
  const { x, y, w, h } = box;
  let total = 0;
  let kinds = 0;
  for (let slot = 0; slot < SLOTS.length; slot += 1) {
    const share = shares[cell * SLOTS.length + slot];
    total += share;
    if (share > 0) kinds += 1;
  }
  if (total === 0) return;
  const least = Math.max(1, Math.round(h * LEAST_SHARE));
  let bottom = y + h;
  let left = kinds;
  for (const slot of STACK) {
    const share = shares[cell * SLOTS.length + slot];
    if (share === 0) continue;
    left -= 1;
    const wanted = Math.max(least, Math.round((share / total) * h));
    const height = left === 0 ? bottom - y : Math.min(wanted, Math.max(1, bottom - y - left));
    pen.fillStyle = palette.fill[slot];
    pen.fillRect(x, bottom - height, w, height);
    if (marks && kinds === 1) {
      pen.strokeStyle = palette.mark;
      pen.fillStyle = palette.mark;
      hatch(pen, KIND_MARK[SLOTS[slot].kind].hatch, x, y, w, h);
    }
    bottom -= height;
    if (bottom <= y) break;
  }
}
