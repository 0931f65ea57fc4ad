/** Paints the timeline on a canvas. */
import { duration, micros } from './format.ts';
import {
  LANES,
  tickStep,
  type TimelinePoint,
  type TimelineRequest,
  type TimelineView,
  type Zoom,
} from './timeline.ts';

/** Pixels: the lanes' names on the left, the axis at the bottom. */
export const LEFT = 92;
export const AXIS = 20;

export interface Paint {
  context: CanvasRenderingContext2D;
  width: number;
  height: number;
  /** A custom property's value, e.g. `--text-2`. */
  colour: (property: string) => string;
  laneNames: string[];
  tint: (request: number) => string;
  selected: number | null;
}

export interface Scale {
  x: (time: number) => number;
  y: (point: TimelinePoint, request: number) => number;
  laneHeight: number;
  /** The visible times in nanoseconds. */
  from: number;
  to: number;
}

/** Every lane has this many tracks; requests share them out by their numbers. */
const TRACKS = 8;

export function scaleOf(view: TimelineView, zoom: Zoom, width: number, height: number): Scale {
  const span = Math.max(1, view.to - view.from);
  const from = view.from + zoom.start * span;
  const to = view.from + zoom.end * span;
  const laneHeight = (height - AXIS) / LANES.length;
  return {
    from,
    to,
    laneHeight,
    x: (time) => LEFT + 6 + ((time - from) / Math.max(1, to - from)) * (width - LEFT - 12),
    y: (point, request) => (point.lane + ((request % TRACKS) + 1) / (TRACKS + 1)) * laneHeight,
  };
}

export function paintTimeline(paint: Paint, view: TimelineView, zoom: Zoom): void {
  const scale = scaleOf(view, zoom, paint.width, paint.height);
  paint.context.clearRect(0, 0, paint.width, paint.height);
  paintLanes(paint, scale);
  paint.context.save();
  paint.context.beginPath();
  paint.context.rect(LEFT, 0, paint.width - LEFT, paint.height - AXIS);
  paint.context.clip();
  for (const request of view.requests) if (request.id !== paint.selected) paintRequest(paint, scale, request);
  const chosen = view.requests.find((request) => request.id === paint.selected);
  if (chosen) paintRequest(paint, scale, chosen);
  paint.context.restore();
  paintAxis(paint, scale);
}

function paintLanes(paint: Paint, scale: Scale): void {
  const { context, width, colour } = paint;
  context.font = `600 12px ${colour('--font-ui')}`;
  context.textBaseline = 'middle';
  context.textAlign = 'left';
  for (const [i, world] of LANES.entries()) {
    const top = i * scale.laneHeight;
    context.fillStyle = colour(`--world-${world}-soft`);
    context.fillRect(0, top, LEFT, scale.laneHeight - 1);
    context.globalAlpha = 0.35;
    context.fillRect(LEFT, top, width - LEFT, scale.laneHeight - 1);
    context.globalAlpha = 1;
    context.fillStyle = colour(`--world-${world}`);
    context.fillRect(0, top, 4, scale.laneHeight - 1);
    context.fillStyle = colour(`--world-${world}-ink`);
    context.fillText(paint.laneNames[i], 10, top + scale.laneHeight / 2, LEFT - 12);
  }
}

function paintRequest(paint: Paint, scale: Scale, request: TimelineRequest): void {
  const { context } = paint;
  const chosen = request.id === paint.selected;
  context.strokeStyle = paint.tint(request.id);
  context.fillStyle = context.strokeStyle;
  context.globalAlpha = chosen || paint.selected === null ? 1 : 0.28;
  // Thin where it passes from world to world, thick where it stays in one.
  const { points } = request;
  for (let i = 0; i < points.length; i++) {
    const x = scale.x(points[i].time);
    const y = scale.y(points[i], request.id);
    const next = points[i + 1];
    if (next) {
      const x2 = scale.x(next.time);
      const y2 = scale.y(next, request.id);
      context.lineWidth = chosen ? 4 : 2.5;
      context.beginPath();
      context.moveTo(x, y);
      context.lineTo(x2, y);
      context.stroke();
      if (y2 !== y) {
        context.lineWidth = chosen ? 2 : 1;
        context.beginPath();
        context.moveTo(x2, y);
        context.lineTo(x2, y2);
        context.stroke();
      }
    }
    const size = chosen ? 3 : 1.75;
    context.beginPath();
    context.arc(x, y, size, 0, 2 * Math.PI);
    context.fill();
  }
  context.globalAlpha = 1;
}

function paintAxis(paint: Paint, scale: Scale): void {
  const { context, width, height, colour } = paint;
  const base = height - AXIS;
  context.fillStyle = colour('--surface-2');
  context.fillRect(0, base, width, AXIS);
  context.font = `11px ${colour('--font-mono')}`;
  context.textAlign = 'center';
  context.fillStyle = colour('--text-2');
  context.fillText(`${micros(scale.from)} µs`, LEFT / 2, base + AXIS / 2 + 1, LEFT - 6);
  const step = tickStep(scale.to - scale.from, (width - LEFT) / 90);
  // Where the picture begins, and from there on how much later: a long run has no room for whole numbers.
  for (let later = step; scale.from + later <= scale.to; later += step) {
    const x = Math.round(scale.x(scale.from + later)) + 0.5;
    context.strokeStyle = colour('--border');
    context.lineWidth = 1;
    context.globalAlpha = 0.7;
    context.beginPath();
    context.moveTo(x, 0);
    context.lineTo(x, base + 3);
    context.stroke();
    context.globalAlpha = 1;
    context.fillStyle = colour('--text-2');
    const text = `+${duration(later)}`;
    const half = context.measureText(text).width / 2;
    context.fillText(text, Math.min(Math.max(x, LEFT + half), width - half - 2), base + AXIS / 2 + 1);
  }
}

/** The event nearest to a point of the canvas, within a dozen pixels. */
export function nearestEvent(
  view: TimelineView,
  scale: Scale,
  x: number,
  y: number,
): { request: number; point: TimelinePoint } | null {
  let best: { request: number; point: TimelinePoint } | null = null;
  let least = 12;
  for (const request of view.requests)
    for (const point of request.points) {
      const away = Math.hypot(scale.x(point.time) - x, scale.y(point, request.id) - y);
      if (away < least) {
        least = away;
        best = { request: request.id, point };
      }
    }
  return best;
}
