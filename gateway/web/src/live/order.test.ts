import { describe, expect, it } from "vitest";
import type { OrderFrame, Position, Snapshot, Status } from "./frames";
import { type OrderView, reduce } from "./order";

const SNAPSHOT: Snapshot = {
  type: "snapshot",
  order_id: "o",
  city: "la-serena",
  status: "assigned",
  events: [
    { seq: 0, status: "placed", at_ms: 1 },
    { seq: 3, status: "assigned", at_ms: 5 },
  ],
  rider: null,
  eta_ms: 900,
  eta_p90_ms: 950,
  promised_ms: 1000,
  stops: [],
  restaurant: { name: "Da Ana", lat: 0, lng: 0 },
  dropoff: { lat: 1, lng: 1 },
  epoch: 4,
  seq: 3,
  clock: { speed: 1, anchor_wall_ms: 0, anchor_domain_ms: 0 },
};
const PLAN = { eta_ms: 800, eta_p90_ms: 850, stops: [] };

function after(...frames: OrderFrame[]): OrderView {
  const view = frames.reduce<OrderView | null>(reduce, reduce(null, SNAPSHOT));
  if (view === null) throw new Error("no view");
  return view;
}

const position = (ts_ms: number, epoch = 4): Position => ({ type: "position", lat: 2, lng: ts_ms, ts_ms, eta_ms: 0, epoch });
const status = (seq: number, word: Status["status"], epoch = 4): Status => ({
  type: "status",
  seq,
  status: word,
  at_ms: seq,
  ...PLAN,
  epoch,
});

describe("reduce", () => {
  it("knows nothing before the snapshot", () => {
    expect(reduce(null, position(1))).toBeNull();
  });

  it("keeps the newest position, whatever the order of arrival", () => {
    expect(after(position(10), position(30), position(20)).rider?.ts_ms).toBe(30);
  });

  it("drops frames of an older epoch", () => {
    expect(after(position(10), position(99, 3)).rider?.ts_ms).toBe(10);
    expect(after(status(9, "picked_up", 3)).status).toBe("assigned");
  });

  it("takes each event once", () => {
    const view = after(status(4, "picked_up"), status(4, "picked_up"), status(2, "accepted"));
    expect(view.events.map((event) => event.status)).toEqual(["placed", "assigned", "picked_up"]);
    expect(view.seq).toBe(4);
  });

  it("is not moved by a heartbeat, nor by a kind of frame it does not know", () => {
    const before = after(position(10));
    expect(reduce(before, { type: "heartbeat" })).toBe(before);
    expect(reduce(before, { type: "news", epoch: 9 } as unknown as OrderFrame)).toBe(before);
  });

  it("forgets the rider at the end, and positions that come after it", () => {
    const view = after(position(10), status(5, "delivered"), position(20));
    expect(view.status).toBe("delivered");
    expect(view.rider).toBeNull();
  });

  it("goes on from where it was after a resume", () => {
    const rider = { lat: 5, lng: 5, ts_ms: 50 };
    const view = after({ type: "resumed", status: "picked_up", rider, epoch: 5, seq: 6, ...PLAN });
    expect([view.status, view.seq, view.epoch, view.etaMs]).toEqual(["picked_up", 6, 5, 800]);
    expect(view.restaurant.name).toBe("Da Ana");
  });
});
