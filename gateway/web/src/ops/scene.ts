import type { ClockLine } from "../live/clock";
import { wallOfDomain } from "../live/clock";
import { type CityFrame, type CityOrder, type Moves, type RiderActivity, riderActivity } from "../live/frames";
import { type Glide, placeAt, steer, still } from "../live/motion";
import { LINE_FLOATS, POINT_FLOATS, type Buffers } from "../map/layer";
import { mercator, metre, unmercator } from "../map/mercator";
import { ORDER_COLORS, RIDER_STYLES, rgb, type Rgb } from "../map/palette";
import type { Bounds } from "./bounds";

export interface Rider {
  id: string;
  city: string;
  activity: RiderActivity;
  tsMs: number;
  glide: Glide;
}

/** A rider that moved further than this between two fixes is shown at the new place at once, metres. */
const JUMP_M = 3000;
const RIDER_COLORS: Readonly<Record<RiderActivity, Rgb>> = {
  offline: rgb(RIDER_STYLES.offline.color),
  idle: rgb(RIDER_STYLES.idle.color),
  offered: rgb(RIDER_STYLES.offered.color),
  to_pickup: rgb(RIDER_STYLES.to_pickup.color),
  to_dropoff: rgb(RIDER_STYLES.to_dropoff.color),
};
const BUSY_SIZE = 5;
const RESTING_SIZE = { offline: 2.6, idle: 3.6 };
/** Segments of a curved line. */
const BENDS = 14;

/** What is on the map: riders and orders of all cities, and the buffers that the graphics card gets. */
export class Scene {
  readonly riders = new Map<string, Rider>();
  readonly orders = new Map<string, CityOrder>();
  readonly buffers: Buffers = {
    points: new Float32Array(POINT_FLOATS * 1024),
    pointCount: 0,
    dirty: false,
    lines: new Float32Array(LINE_FLOATS * 1024),
    lineCount: 0,
  };
  private readonly ordersOf = new Map<string, CityOrder[]>();
  private readonly epochs = new Map<string, number>();
  private readonly jump: number;
  /** Fixes applied since the last drawn frame: their domain times. */
  private undrawn: number[] = [];
  private changed = false;

  constructor(
    private readonly origin: readonly [number, number],
    lat: number,
    private readonly epochMs: number,
  ) {
    this.jump = JUMP_M * metre(lat);
  }

  /** A whole city: adds, moves, and removes what is no more. Frames of an old epoch are dropped. */
  city(frame: CityFrame, nowMs: number): void {
    if (frame.epoch < (this.epochs.get(frame.city) ?? 0)) return;
    this.epochs.set(frame.city, frame.epoch);
    const { id, lat_e7, lng_e7, ts_ms, state } = frame.riders;
    const seen = new Set(id);
    for (let i = 0; i < id.length; i++) {
      this.move(id[i]!, frame.city, lat_e7[i]!, lng_e7[i]!, ts_ms[i]!, riderActivity(state[i]!), nowMs);
    }
    for (const rider of this.riders.values()) {
      if (rider.city === frame.city && !seen.has(rider.id)) this.riders.delete(rider.id);
    }
    for (const order of this.ordersOf.get(frame.city) ?? []) this.orders.delete(order.id);
    this.ordersOf.set(frame.city, frame.orders);
    for (const order of frame.orders) this.orders.set(order.id, order);
    this.changed = true;
  }

  /** Positions between two whole frames. */
  moves(frame: Moves, nowMs: number): void {
    if (frame.epoch < (this.epochs.get(frame.city) ?? 0)) return;
    for (const [id, lat, lng, tsMs] of frame.moves) {
      const rider = this.riders.get(id);
      if (rider === undefined || tsMs <= rider.tsMs) continue;
      this.move(id, frame.city, lat, lng, tsMs, rider.activity, nowMs);
      this.undrawn.push(tsMs);
    }
    this.changed = true;
  }

  /** Takes cities off the map that are not wanted any more. */
  keepCities(cities: ReadonlySet<string>): void {
    for (const rider of this.riders.values()) if (!cities.has(rider.city)) this.riders.delete(rider.id);
    this.changed = true;
  }

  beforeFrame(nowMs: number): void {
    if (this.changed) this.fillPoints();
    this.changed = false;
    this.fillLines(nowMs);
  }

  /** Ages, wall milliseconds, of the fixes that the frame just drawn showed for the first time. */
  drawn(clock: ClockLine): number[] {
    const nowWallMs = Date.now();
    const ages = this.undrawn.map((tsMs) => nowWallMs - wallOfDomain(clock, tsMs));
    this.undrawn = [];
    return ages;
  }

  /** The rider nearest to a place within a distance, in mercator units. */
  nearest(x: number, y: number, within: number, nowMs: number): Rider | null {
    let best: Rider | null = null;
    let bestDistance = within;
    for (const rider of this.riders.values()) {
      const [riderX, riderY] = placeAt(rider.glide, nowMs);
      const east = riderX + this.origin[0] - x;
      const distance = Math.hypot(east - Math.round(east), riderY + this.origin[1] - y);
      if (distance < bestDistance) [best, bestDistance] = [rider, distance];
    }
    return best;
  }

  /** Where riders are, without the outermost share at each edge; null where there are none. */
  bounds(city: string | null, outliers: number): Bounds | null {
    const shown = [...this.riders.values()].filter((rider) => city === null || rider.city === city);
    if (shown.length === 0) return null;
    const edge = (pick: (glide: Glide) => number, q: number): number => {
      const sorted = shown.map((rider) => pick(rider.glide)).sort((a, b) => a - b);
      return sorted[Math.round(q * (sorted.length - 1))]!;
    };
    const corner = (q: number): [number, number] => {
      const x = edge((glide) => glide.toX, q) + this.origin[0];
      const y = edge((glide) => glide.toY, 1 - q) + this.origin[1];
      const [lat, lng] = unmercator(x, y);
      return [lng, lat];
    };
    return [corner(outliers), corner(1 - outliers)];
  }

  private move(
    id: string,
    city: string,
    latE7: number,
    lngE7: number,
    tsMs: number,
    activity: RiderActivity,
    nowMs: number,
  ): void {
    const [x, y] = this.place(latE7, lngE7);
    const rider = this.riders.get(id);
    if (rider === undefined) {
      this.riders.set(id, { id, city, activity, tsMs, glide: still(x, y, nowMs) });
      return;
    }
    rider.city = city;
    rider.activity = activity;
    if (tsMs < rider.tsMs) return;
    rider.tsMs = tsMs;
    steer(rider.glide, x, y, nowMs, this.jump);
  }

  /** Off the origin, the short way round: over the date line, not round the earth. */
  private place(latE7: number, lngE7: number): [number, number] {
    const [x, y] = mercator(latE7 / 1e7, lngE7 / 1e7);
    const east = x - this.origin[0];
    return [east - Math.round(east), y - this.origin[1]];
  }

  private fillPoints(): void {
    const wanted = (this.riders.size + this.orders.size * 2) * POINT_FLOATS;
    if (this.buffers.points.length < wanted) this.buffers.points = new Float32Array(wanted * 2);
    const out = this.buffers.points;
    let at = 0;
    const put = (glide: Glide, color: readonly number[], size: number, shape: number, glow: number): void => {
      const start = (glide.startMs - this.epochMs) / 1000;
      out.set([glide.fromX, glide.fromY, glide.toX, glide.toY, start, glide.durationMs / 1000], at);
      out.set([color[0]!, color[1]!, color[2]!, size, shape, glow], at + 6);
      at += POINT_FLOATS;
    };
    for (const order of this.orders.values()) {
      const color = rgb(ORDER_COLORS[order.state]);
      if (isWaiting(order)) {
        put(still(...this.place(...order.pickup), 0), color, 5.5, 1, order.state === "open" ? 1 : 0);
      }
      if (isAlive(order)) put(still(...this.place(...order.dropoff), 0), color, 4, 2, 0);
    }
    const busy: Rider[] = [];
    for (const rider of this.riders.values()) {
      const { activity, glide } = rider;
      if (activity === "offline" || activity === "idle") {
        put(glide, RIDER_COLORS[activity], RESTING_SIZE[activity], 0, 0);
      } else {
        busy.push(rider);
      }
    }
    for (const { activity, glide } of busy) put(glide, RIDER_COLORS[activity], BUSY_SIZE, 0, 1);
    this.buffers.pointCount = at / POINT_FLOATS;
    this.buffers.dirty = true;
  }

  private fillLines(nowMs: number): void {
    let count = 0;
    for (const order of this.orders.values()) {
      const rider = order.rider === null ? undefined : this.riders.get(order.rider);
      if (!isAlive(order) || rider === undefined) continue;
      const at = placeAt(rider.glide, nowMs);
      const drop = this.place(...order.dropoff);
      const color = rgb(ORDER_COLORS[order.state]);
      if (order.state === "picked_up") {
        count = this.curve(count, at, drop, color, 0.85, 0.25, 1.8);
      } else if (isWaiting(order)) {
        const pickup = this.place(...order.pickup);
        count = this.curve(count, at, pickup, color, 0.8, 0.35, 1.6);
        count = this.curve(count, pickup, drop, color, 0.16, 0.05, 1.1);
      }
    }
    this.buffers.lineCount = count;
  }

  /** A gentle bow from a to b, always bent to the same side, fading towards b. */
  private curve(
    from: number,
    a: readonly [number, number],
    b: readonly [number, number],
    color: readonly number[],
    alphaA: number,
    alphaB: number,
    width: number,
  ): number {
    const end = (from + BENDS) * LINE_FLOATS;
    if (this.buffers.lines.length < end) {
      const larger = new Float32Array(end * 2);
      larger.set(this.buffers.lines);
      this.buffers.lines = larger;
    }
    const out = this.buffers.lines;
    const bowX = (a[0] + b[0]) / 2 - (b[1] - a[1]) * 0.16;
    const bowY = (a[1] + b[1]) / 2 + (b[0] - a[0]) * 0.16;
    let at = from * LINE_FLOATS;
    let [lastX, lastY] = a;
    for (let i = 1; i <= BENDS; i++) {
      const t = i / BENDS;
      const x = (1 - t) * (1 - t) * a[0] + 2 * (1 - t) * t * bowX + t * t * b[0];
      const y = (1 - t) * (1 - t) * a[1] + 2 * (1 - t) * t * bowY + t * t * b[1];
      const alpha = (s: number): number => alphaA + (alphaB - alphaA) * s;
      out[at] = lastX;
      out[at + 1] = lastY;
      out[at + 2] = x;
      out[at + 3] = y;
      out[at + 4] = color[0]!;
      out[at + 5] = color[1]!;
      out[at + 6] = color[2]!;
      out[at + 7] = alpha((i - 1) / BENDS);
      out[at + 8] = alpha(t);
      out[at + 9] = width;
      at += LINE_FLOATS;
      [lastX, lastY] = [x, y];
    }
    return from + BENDS;
  }
}

function isWaiting(order: CityOrder): boolean {
  return order.state === "open" || order.state === "offered" || order.state === "assigned";
}

function isAlive(order: CityOrder): boolean {
  return isWaiting(order) || order.state === "picked_up";
}
