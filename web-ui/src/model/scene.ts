// A scene's layers as the panel edits them. Pure. Places are fractions of the frame.

export interface Layer {
  kind: 'source' | 'title' | 'image';
  content: string;
  x: number;
  y: number;
  width: number;
  height: number;
  opacity: number;
  /** Whatever else the configuration says of it, kept as it is. */
  rest: Record<string, unknown>;
}

type Loose = Record<string, unknown>;
const number = (value: unknown, otherwise: number) => (typeof value === 'number' ? value : otherwise);

/** From the API's layer, flat as in the file or with `content` and `place`. */
export function layer(raw: unknown): Layer {
  const { content, place, source, title, image, x, y, width, height, opacity, ...rest } = raw as Loose;
  const what = (typeof content === 'object' && content !== null ? content : { source, title, image }) as Loose;
  const where = (typeof place === 'object' && place !== null ? place : { x, y, width, height }) as Loose;
  const kind = (['source', 'title', 'image'] as const).find((name) => typeof what[name] === 'string') ?? 'source';
  return {
    kind,
    content: String(what[kind] ?? ''),
    x: number(where.x, 0),
    y: number(where.y, 0),
    width: number(where.width, 1),
    height: number(where.height, 1),
    opacity: number(opacity, 1),
    rest: Object.fromEntries(Object.entries(rest).filter(([, value]) => value !== null)),
  };
}

/** The API gives a colour by its parts, the file as #rrggbb or #rrggbbaa. */
function colour(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || !('red' in value)) return value;
  const { red, green, blue, alpha } = value as Record<string, number>;
  const parts = alpha === undefined || alpha === 255 ? [red, green, blue] : [red, green, blue, alpha];
  return `#${parts.map((part) => (part ?? 0).toString(16).padStart(2, '0')).join('')}`;
}

const KEYS = new Set(['or', 'z', 'id', 'crop', 'border', 'chroma_key']);

/** As the file has it: what is as without saying is left out. */
export function table(it: Layer): Loose {
  const out: Loose = { [it.kind]: it.content };
  const full = it.x === 0 && it.y === 0 && it.width === 1 && it.height === 1;
  if (!full) Object.assign(out, { x: it.x, y: it.y, width: it.width, height: it.height });
  if (it.opacity !== 1) out.opacity = it.opacity;
  for (const [key, value] of Object.entries(it.rest)) {
    if (!KEYS.has(key) || (key === 'z' && value === 0) || (key === 'id' && value === it.content)) continue;
    // The API gives crop by name, the file as left, top, right, bottom.
    if (key === 'crop' && value && typeof value === 'object' && !Array.isArray(value)) {
      const { left, top, right, bottom } = value as Record<string, number>;
      const crop = [left ?? 0, top ?? 0, right ?? 0, bottom ?? 0];
      if (crop.some((part) => part !== 0)) out.crop = crop;
      continue;
    }
    if ((key === 'border' || key === 'chroma_key') && value && typeof value === 'object') {
      const parts = value as Loose;
      out[key] = { ...parts, colour: colour(parts.colour) };
      continue;
    }
    out[key] = value;
  }
  return out;
}

const round = (value: number) => Math.round(value * 1000) / 1000;
/** Near an edge, the middle or another layer's edge, it is meant there. */
const SNAP = 0.012;

function snap(value: number, size: number, stops: number[]): number {
  for (const stop of stops) {
    for (const part of [0, size / 2, size]) {
      if (Math.abs(value + part - stop) < SNAP) return stop - part;
    }
  }
  return value;
}

export function moved(it: Layer, dx: number, dy: number, others: Layer[] = []): Layer {
  const xs = [0, 0.5, 1, ...others.flatMap((o) => [o.x, o.x + o.width])];
  const ys = [0, 0.5, 1, ...others.flatMap((o) => [o.y, o.y + o.height])];
  // A part of it may lie outside, never all of it.
  const keep = (value: number, size: number) => Math.min(0.95, Math.max(0.05 - size, value));
  return {
    ...it,
    x: round(keep(snap(it.x + dx, it.width, xs), it.width)),
    y: round(keep(snap(it.y + dy, it.height, ys), it.height)),
  };
}

export function resized(it: Layer, dw: number, dh: number): Layer {
  const size = (value: number) => round(Math.min(2, Math.max(0.05, value)));
  return { ...it, width: size(it.width + dw), height: size(it.height + dh) };
}

export interface Layout {
  id: string;
  /** The places, lowest first. */
  places: [number, number, number, number][];
}

export const LAYOUTS: Layout[] = [
  { id: 'full', places: [[0, 0, 1, 1]] },
  { id: 'pip', places: [[0, 0, 1, 1], [0.68, 0.66, 0.29, 0.29]] },
  { id: 'side-by-side', places: [[0, 0.25, 0.5, 0.5], [0.5, 0.25, 0.5, 0.5]] },
  { id: 'two-up', places: [[0.03, 0.17, 0.46, 0.46], [0.51, 0.17, 0.46, 0.46]] },
  { id: 'quad', places: [[0, 0, 0.5, 0.5], [0.5, 0, 0.5, 0.5], [0, 0.5, 0.5, 0.5], [0.5, 0.5, 0.5, 0.5]] },
];

/** The layers in a layout's places; places without a layer take what of `spare` is left. */
export function laidOut(layers: Layer[], layout: Layout, spare: string[]): Layer[] {
  const left = spare.filter((id) => !layers.some((it) => it.content === id));
  return layout.places.flatMap(([x, y, width, height], index) => {
    const content = layers[index]?.content ?? left.shift();
    if (content === undefined) return [];
    const base = layers[index] ?? { kind: 'source' as const, content, opacity: 1, rest: {} };
    return [{ ...base, x, y, width, height }];
  });
}
