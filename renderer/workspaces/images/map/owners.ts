/** Who owns a byte of the file: a letter and a colour each, made of the colours that kinds of block have. */
import { OWNER_KINDS, type OwnerKind } from '#contract/structure.ts';

/** The letter stands on the colour, so each is light enough (dark enough in the dark theme) for text. */
export const OWNER_MARK: Record<OwnerKind, { letter: string; css: string }> = {
  header: mark('H', 'metadata', 70),
  mapping: mark('L', 'metadata', 55),
  refcount: mark('R', 'metadata', 40),
  snapshot: mark('S', 'metadata', 30),
  bitmap: mark('B', 'metadata', 20),
  log: mark('J', 'metadata', 15),
  other: mark('M', 'metadata', 10),
  data: mark('D', 'data', 40),
  compressed: mark('C', 'compressed', 50),
  'snapshot-data': mark('P', 'backing', 40),
  free: mark('F', 'unallocated', 100),
};

function mark(letter: string, token: string, part: number): (typeof OWNER_MARK)[OwnerKind] {
  return { letter, css: `color-mix(in srgb, var(--kind-${token}) ${part}%, var(--surface))` };
}

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
      y += part;
    }
  }
  pen.fillStyle = getComputedStyle(canvas).getPropertyValue('--accent');
  pen.fillRect(Math.min(width - 2, Math.floor(cursor * width)), 0, 2, height);
}
