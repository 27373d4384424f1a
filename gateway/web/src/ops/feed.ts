import type { ClockLine } from "../live/clock";
import { type CityOwner, type Counters, isBusy, type OpsFrame, riderActivity, type Shard } from "../live/frames";
import { Window } from "../live/percentiles";
import type { Link } from "../live/socket";

export interface CityFigures {
  epoch: number;
  shardId: string;
  counters: Counters;
  /** Riders with an order or an offer. */
  busy: number;
}

/** What the panel shows; a new object each time it is published. */
export interface Figures {
  link: Link;
  cities: ReadonlyMap<string, CityFigures>;
  owners: readonly CityOwner[];
  shards: readonly Shard[];
  fixToScreen: { p50: number; p99: number; count: number } | null;
  /** The part of it up to the gateway's socket, by the gateway. */
  fixToSocketMs: number | null;
  /** Medians of fix-to-screen, one a second, oldest first. */
  trace: readonly number[];
  speed: number;
}

/** Fix-to-screen is told over so long a window, milliseconds. */
const WINDOW_MS = 10_000;
const TRACE = 60;
/** The panel changes this often, milliseconds. */
const PUBLISH_MS = 500;

/** Gathers figures out of the frames, and publishes them calmly. */
export class Feed {
  clock: ClockLine | null = null;
  private link: Link = { kind: "connecting" };
  private readonly cities = new Map<string, CityFigures>();
  private owners: readonly CityOwner[] = [];
  private shards: readonly Shard[] = [];
  private readonly ages = new Window(WINDOW_MS);
  private readonly trace: number[] = [];
  private tracedMs = 0;
  private fixToSocketMs: number | null = null;
  private readonly listeners = new Set<() => void>();
  private figures: Figures = this.collected(0);
  private timer = 0;

  readonly subscribe = (listener: () => void): (() => void) => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };

  readonly now = (): Figures => this.figures;

  start(): void {
    this.timer = window.setInterval(() => this.publish(), PUBLISH_MS);
  }

  stop(): void {
    window.clearInterval(this.timer);
  }

  linked(link: Link): void {
    this.link = link;
    this.publish();
  }

  frame(frame: OpsFrame): void {
    switch (frame.type) {
      case "hello":
        this.clock = frame.clock;
        [this.owners, this.shards] = [frame.cities, frame.shards];
        this.publish();
        break;
      case "stats":
        [this.owners, this.shards] = [frame.cities, frame.shards];
        this.fixToSocketMs = frame.fix_to_socket?.p50_ms ?? null;
        break;
      case "city": {
        const known = this.cities.get(frame.city);
        if (known !== undefined && frame.epoch < known.epoch) return;
        const busy = frame.riders.state.filter((number) => isBusy(riderActivity(number))).length;
        this.cities.set(frame.city, { epoch: frame.epoch, shardId: frame.shard_id, counters: frame.counters, busy });
        break;
      }
      case "moves":
        break;
    }
  }

  /** Whether every city that somebody owns has told how it is. */
  heardAll(): boolean {
    return this.owners.every((owner) => owner.shard_id === null || this.cities.has(owner.city));
  }

  /** Ages of fixes that a frame just drew, milliseconds. */
  drawn(agesMs: readonly number[]): void {
    const nowMs = performance.now();
    for (const age of agesMs) this.ages.add(age, nowMs);
  }

  private publish(): void {
    this.figures = this.collected(performance.now());
    for (const listener of this.listeners) listener();
  }

  private collected(nowMs: number): Figures {
    const found = this.ages.percentiles([0.5, 0.99], nowMs);
    if (found !== null && nowMs - this.tracedMs >= 1000) {
      this.tracedMs = nowMs;
      this.trace.push(found[0]!);
      if (this.trace.length > TRACE) this.trace.shift();
    }
    return {
      link: this.link,
      cities: new Map(this.cities),
      owners: this.owners,
      shards: this.shards,
      fixToScreen: found === null ? null : { p50: found[0]!, p99: found[1]!, count: this.ages.size },
      fixToSocketMs: this.fixToSocketMs,
      trace: [...this.trace],
      speed: this.clock?.speed ?? 1,
    };
  }
}
