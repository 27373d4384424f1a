import { describe, expect, test } from "vitest";
import { type Board, callSign, type KitchenFrame, laneOf, laneTickets, minutes, reduce, type Ticket } from "./board";
import { type Command, Commands } from "./commands";

function ticket(order_id: string, changes: Partial<Ticket> = {}): Ticket {
  return {
    order_id,
    status: "authorised",
    items: [{ name: "Margherita", quantity: 2 }],
    placed_ms: 1000,
    since_ms: 1000,
    ready_ms: null,
    cooked_ms: null,
    promised_ms: 9000,
    preparation_s: 600,
    version: 1,
    ...changes,
  };
}

const ABOUT = { auto_accept: false, pace: { median: 1, p90: 1.5, samples_hour: 0, samples: 0 }, more: false, name: "Da Ana" };
const CLOCK = { speed: 1, anchor_wall_ms: 0, anchor_domain_ms: 0 };

function after(...frames: KitchenFrame[]): Board {
  const first: KitchenFrame = {
    type: "snapshot",
    city: "la-serena",
    restaurant_id: "r-1",
    tickets: [ticket("a"), ticket("b", { placed_ms: 500 })],
    clock: CLOCK,
    epoch: 7,
    seq: 3,
    ...ABOUT,
  };
  return [first, ...frames].reduce<Board | null>(reduce, null)!;
}

describe("the board", () => {
  test("before the snapshot there is none", () => {
    expect(reduce(null, { type: "back" })).toBeNull();
  });

  test("shows what changed and forgets what left", () => {
    const changed = [ticket("a", { status: "accepted", ready_ms: 5000, version: 2 }), ticket("c")];
    const board = after({ type: "tickets", changed, gone: ["b"], epoch: 7, seq: 4, ...ABOUT });
    expect([...board.tickets.keys()]).toEqual(["a", "c"]);
    expect(board.seq).toBe(4);
    expect(laneTickets(board, "cooking").map((one) => one.order_id)).toEqual(["a"]);
  });

  test("an answer is shown at once, an old one is not", () => {
    const taken = ticket("a", { status: "accepted", ready_ms: 5000, version: 3 });
    const board = after({ type: "done", id: "1", changed: true, ticket: taken });
    expect(board.tickets.get("a")).toBe(taken);
    const older = reduce(board, { type: "done", id: "2", changed: false, ticket: ticket("a", { version: 2 }) })!;
    expect(older.tickets.get("a")).toBe(taken);
    const gone = reduce(board, { type: "done", id: "3", changed: true, ticket: { ...taken, status: "cancelled", version: 4 } })!;
    expect(gone.tickets.has("a")).toBe(false);
  });

  test("keeps its name when the last order has left", () => {
    const gone = { type: "tickets" as const, changed: [], gone: ["a", "b"], epoch: 7, seq: 4, ...ABOUT, name: "" };
    expect(after(gone).name).toBe("Da Ana");
  });

  test("says when what it shows is old", () => {
    expect(after({ type: "away" }).away).toBe(true);
    expect(after({ type: "away" }, { type: "back" }).away).toBe(false);
  });

  test("hangs a ticket in its lane, the most urgent first", () => {
    expect(laneOf(ticket("a", { status: "assigned", ready_ms: 1, cooked_ms: 1 }))).toBe("counter");
    expect(laneOf(ticket("a", { status: "picked_up" }))).toBeNull();
    expect(laneTickets(after(), "new").map((one) => one.order_id)).toEqual(["b", "a"]);
  });

  test("counts minutes as people do", () => {
    expect([30_000, 60_000, 0, -30_000, -90_000].map(minutes)).toEqual([1, 1, 0, -0, -1]);
    expect(callSign("018f6d3e-7c2a-7b41-9f2e-0c774d1b5a3c")).toBe("4D1B");
  });
});

describe("commands", () => {
  const accept: Command = { type: "accept", order_id: "a" };

  test("are sent until they are answered, each once at a time", () => {
    const sent: string[] = [];
    const commands = new Commands((text) => sent.push(text) > 0);
    commands.say(accept);
    commands.say(accept);
    expect(sent).toHaveLength(1);
    expect(commands.busy("a")).toBe(true);
    commands.again();
    expect(sent[1]).toBe(sent[0]);
    expect(commands.answered("1")).toEqual(accept);
    commands.again();
    expect(sent).toHaveLength(2);
    expect(commands.busy("a")).toBe(false);
  });
});
