/** Who owns a byte of the file: a letter, a hatch and a colour each, made of the colours that kinds of block have. */
import { OWNER_KINDS, type OwnerKind } from '#contract/structure.ts';
import type { Hatch } from '../../../design/kinds.ts';

/** The letter stands on the colour, so each is light enough (dark enough in the dark theme) for text. */
export const OWNER_MARK: Record<OwnerKind, { letter: string; css: string; hatch: Hatch }> = {
  header: mark('H', 'metadata', 70, 'none'),
  mapping: mark('L', 'metadata', 55, 'rising'),
  refcount: mark('R', 'metadata', 40, 'upright'),
  snapshot: mark('S', 'metadata', 30, 'level'),
  bitmap: mark('B', 'metadata', 20, 'dot'),
  log: mark('J', 'metadata', 15, 'cross'),
  other: mark('M', 'metadata', 10, 'none'),
  data: mark('D', 'data', 40, 'none'),
  compressed: mark('C', 'compressed', 50, 'rising'),
  'snapshot-data': mark('P', 'backing', 40, 'level'),
  free: mark('F', 'unallocated', 100, 'none'),
};

function mark(letter: string, token: string, part: number, hatch: Hatch): (typeof OWNER_MARK)[OwnerKind] {
  return { letter, hatch, css: `color-mix(in srgb, var(--kind-${token}) ${part}%, var(--surface))` };
}

/** Whether a hatch darkens the pixel: it goes on from column to column, however narrow the parts are. */
const HATCHED: Record<Hatch, (x: number, y: number) => boolean> = {
  none: () => false,
  rising: (x, y) => (x + y) % 5 === 0,
  upright: (x) => x % 4 === 0,
  level: (_, y) => y % 4 === 1,
  dot: (x, y) => x % 4 === 0 && y % 4 === 1,
  cross: (x, y) => (x + y) % 6 === 0 || (x - y + 600) % 6 === 0,
};

/** A stretch of one kind that is this wide shows its letter, CSS pixels. */
const LETTER_ROOM = 18;

/** Colour from the present theme, mixed as `css` says. */
function colours(element: Element): string[] {
  const probe = document.createElement('span');
  element.parentElement?.append(probe);
  const found = OWNER_KINDS.map((kind) => {
    probe.style.color = OWNER_MARK[kind].css;
    return getComputedStyle(probe).color;
  });
  probe.remove();
  return found;
}

/**
 * Paints the strip: each column shows its kinds one above the other by their share, metadata at least a pixel high.
 * @param cursor where the cursor stands, 0 to 1
 */
export function paintOwners(
  canvas: HTMLCanvasElement,
  { pen, width, height }: { pen: CanvasRenderingContext2D; width: number; height: number },
  shares: Float64Array,
  cells: number,
  cursor: number,
): void {
  const fill = colours(canvas);
  const style = getComputedStyle(canvas);
  const dark = style.getPropertyValue('--kind-mark').trim();
  const runs: { kind: number; from: number; to: number }[] = [];
  const kinds = OWNER_KINDS.length;
  for (let x = 0; x < width; x += 1) {
    const first = Math.floor((x / width) * cells);
    const last = Math.max(first + 1, Math.floor(((x + 1) / width) * cells));
    const sums = new Float64Array(kinds);
    let total = 0;
    for (let cell = first; cell < last; cell += 1) {
      for (let kind = 0; kind < kinds; kind += 1) {
        sums[kind] += shares[cell * kinds + kind];
        total += shares[cell * kinds + kind];
      }
    }
    let y = 0;
    for (let kind = 0; kind < kinds; kind += 1) {
      if (sums[kind] === 0) continue;
      const part = Math.min(height - y, Math.max(2, Math.round((sums[kind] / total) * height)));
      pen.fillStyle = fill[kind];
      pen.fillRect(x, y, 1, kind === kinds - 1 ? height - y : part);
      pen.fillStyle = dark;
      const darkened = HATCHED[OWNER_MARK[OWNER_KINDS[kind]].hatch];
      for (let row = y; row < y + part; row += 1) if (darkened(x, row)) pen.fillRect(x, row, 1, 1);
      y += part;
    }
    const only = sums.findIndex((sum) => sum === total && total > 0);
    const run = runs.at(-1);
    if (run !== undefined && run.kind === only) run.to = x + 1;
    else runs.push({ kind: only, from: x, to: x + 1 });
  }
  pen.font = `600 11px ${style.getPropertyValue('--font-mono')}`;
  pen.textAlign = 'center';
  pen.textBaseline = 'middle';
  for (const { kind, from, to } of runs) {
    if (kind < 0 || to - from < LETTER_ROOM) continue;
    // On a ground of its own: a hatch would run through it.
    pen.fillStyle = fill[kind];
    pen.fillRect((from + to) / 2 - 6, 2, 12, height - 4);
    pen.fillStyle = style.getPropertyValue('--text');
    pen.fillText(OWNER_MARK[OWNER_KINDS[kind]].letter, (from + to) / 2, height / 2);
  }
  pen.fillStyle = style.getPropertyValue('--accent');
  pen.fillRect(Math.min(width - 2, Math.floor(cursor * width)), 0, 2, height);
}
