/**
 * Smooth motion out of fixes that come about once a second.
 *
 * Each fix starts a straight glide from where the thing is *shown* to where the fix says it is, over the time that
 * fixes of this thing usually take to come. So what is shown is about one interval behind and never jumps; a glide
 * that ends before the next fix simply waits.
 */
export interface Glide {
  fromX: number;
  fromY: number;
  toX: number;
  toY: number;
  /** When the glide began, and how long it takes: wall milliseconds of one clock. */
  startMs: number;
  durationMs: number;
}

const SHORTEST_MS = 150;
const LONGEST_MS = 2500;
const FIRST_MS = 1000;

export function still(x: number, y: number, nowMs: number): Glide {
  return { fromX: x, fromY: y, toX: x, toY: y, startMs: nowMs, durationMs: FIRST_MS };
}

/** How far along the glide is, 0..1. */
export function progress(glide: Glide, nowMs: number): number {
  return Math.min(1, Math.max(0, (nowMs - glide.startMs) / glide.durationMs));
}

export function placeAt(glide: Glide, nowMs: number): [number, number] {
  const t = progress(glide, nowMs);
  return [glide.fromX + (glide.toX - glide.fromX) * t, glide.fromY + (glide.toY - glide.fromY) * t];
}

/** Turns the glide towards a new place. A move longer than `jump` (in the units of x and y) is made at once. */
export function steer(glide: Glide, x: number, y: number, nowMs: number, jump: number): void {
  if (x === glide.toX && y === glide.toY) return;
  const [nowX, nowY] = placeAt(glide, nowMs);
  const far = Math.hypot(x - nowX, y - nowY) > jump;
  const sinceMs = Math.min(LONGEST_MS, Math.max(SHORTEST_MS, nowMs - glide.startMs));
  glide.fromX = far ? x : nowX;
  glide.fromY = far ? y : nowY;
  glide.toX = x;
  glide.toY = y;
  glide.startMs = nowMs;
  // Half old, half new: one late fix does not make the next glide slow.
  glide.durationMs = (glide.durationMs + sinceMs) / 2;
}
