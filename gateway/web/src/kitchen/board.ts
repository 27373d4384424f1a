import type { ClockLine } from "../live/clock";

export interface Ticket {
  order_id: string;
  status: "authorised" | "accepted" | "assigned" | (string & {});
  items: { name: string; quantity: number }[];
  placed_ms: number;
  since_ms: number;
  ready_ms: number | null;
  cooked_ms: number | null;
  promised_ms: number;
  preparation_s: number;
  version: number;
}

export interface Pace {
  median: number;
  p90: number;
  samples_hour: number;
  samples: number;
}

interface About {
  auto_accept: boolean;
  pace: Pace;
  more: boolean;
  name: string;
  epoch: number;
  seq: number;
}

export type KitchenFrame =
  | ({ type: "snapshot"; city: string; restaurant_id: string; tickets: Ticket[]; clock: ClockLine } & About)
  | ({ type: "tickets"; changed: Ticket[]; gone: string[] } & About)
  | { type: "resumed"; epoch: number; seq: number }
  | { type: "done"; id: string; changed: boolean; ticket: Ticket | null }
  | { type: "refused"; id: string; reason: string; message: string; field: string }
  | { type: "away" | "back" | "heartbeat" };

export interface Board {
  city: string;
  /** As the orders say it; empty until there was one. */
  name: string;
  tickets: ReadonlyMap<string, Ticket>;
  autoAccept: boolean;
  pace: Pace;
  more: boolean;
  epoch: number;
  seq: number;
  clock: ClockLine;
  /** The orders service does not answer: what is shown is a moment old. */
  away: boolean;
}

/** The board after a frame. Before the first snapshot there is none. */
export function reduce(board: Board | null, frame: KitchenFrame): Board | null {
  if (frame.type === "snapshot") {
    const tickets = new Map(frame.tickets.map((ticket) => [ticket.order_id, ticket]));
    return { city: frame.city, tickets, clock: frame.clock, away: false, ...about(frame, board) };
  }
  if (board === null) return null;
  switch (frame.type) {
    case "tickets": {
      const tickets = new Map(board.tickets);
      for (const ticket of frame.changed) tickets.set(ticket.order_id, ticket);
      for (const orderId of frame.gone) tickets.delete(orderId);
      return { ...board, tickets, ...about(frame, board) };
    }
    case "done":
      return frame.ticket === null ? board : withAnswer(board, frame.ticket);
    case "resumed":
      return { ...board, epoch: frame.epoch, seq: frame.seq };
    case "away":
    case "back":
      return { ...board, away: frame.type === "away" };
    default:
      return board;
  }
}

/** A ticket that an answer brought: shown at once, if it is still here and newer than what is shown. */
function withAnswer(board: Board, ticket: Ticket): Board {
  const shown = board.tickets.get(ticket.order_id);
  if (shown === undefined || shown.version > ticket.version) return board;
  const tickets = new Map(board.tickets);
  if (laneOf(ticket) === null) tickets.delete(ticket.order_id);
  else tickets.set(ticket.order_id, ticket);
  return { ...board, tickets };
}

function about(frame: About, before: Board | null): Omit<Board, "city" | "tickets" | "clock" | "away"> {
  return {
    name: frame.name || (before?.name ?? ""),
    autoAccept: frame.auto_accept,
    pace: frame.pace,
    more: frame.more,
    epoch: frame.epoch,
    seq: frame.seq,
  };
}

export type Lane = "new" | "cooking" | "counter";

/** Where a ticket hangs; null when it is not the kitchen's any more. */
export function laneOf(ticket: Ticket): Lane | null {
  if (ticket.status === "authorised") return "new";
  if (ticket.status !== "accepted" && ticket.status !== "assigned") return null;
  return ticket.cooked_ms === null ? "cooking" : "counter";
}

/** The tickets of a lane: what waits longest, or must be ready first, comes first. */
export function laneTickets(board: Board, lane: Lane): Ticket[] {
  const due = (ticket: Ticket): number =>
    lane === "cooking" ? (ticket.ready_ms ?? ticket.placed_ms) : (ticket.cooked_ms ?? ticket.placed_ms);
  return [...board.tickets.values()]
    .filter((ticket) => laneOf(ticket) === lane)
    .sort((a, b) => due(a) - due(b) || a.order_id.localeCompare(b.order_id));
}

/** What is called over the counter: four signs of the order's id that are chance. */
export function callSign(orderId: string): string {
  return orderId.replaceAll("-", "").slice(-8, -4).toUpperCase();
}

/** Whole minutes for people: 0:30 is "1 min", over time is negative. */
export function minutes(ms: number): number {
  return ms >= 0 ? Math.ceil(ms / 60_000) : -Math.floor(-ms / 60_000);
}
