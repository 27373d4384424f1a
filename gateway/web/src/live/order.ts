import type { ClockLine } from "./clock";
import type { OrderFrame, OrderStatus, Place, RiderView, StatusEvent, Stop } from "./frames";

/** All that the customer's page knows of the order. */
export interface OrderView {
  city: string;
  status: OrderStatus;
  events: StatusEvent[];
  rider: RiderView | null;
  etaMs: number | null;
  etaP90Ms: number | null;
  promisedMs: number | null;
  stops: Stop[];
  restaurant: Place & { name: string };
  dropoff: Place;
  epoch: number;
  seq: number;
  clock: ClockLine;
}

const OVER = new Set<OrderStatus>(["delivered", "completed", "cancelled", "declined", "failed"]);

export function isOver(status: OrderStatus): boolean {
  return OVER.has(status);
}

/** The view after a frame. Heartbeats, frames of an older epoch and events seen before change nothing. */
export function reduce(view: OrderView | null, frame: OrderFrame): OrderView | null {
  if (frame.type === "snapshot") {
    return {
      city: frame.city,
      status: frame.status,
      events: frame.events,
      rider: frame.rider,
      etaMs: frame.eta_ms,
      etaP90Ms: frame.eta_p90_ms,
      promisedMs: frame.promised_ms,
      stops: frame.stops,
      restaurant: frame.restaurant,
      dropoff: frame.dropoff,
      epoch: frame.epoch,
      seq: frame.seq,
      clock: frame.clock,
    };
  }
  if (view === null || frame.type === "heartbeat" || frame.epoch < view.epoch) return view;
  switch (frame.type) {
    case "position":
      if (isOver(view.status) || (view.rider !== null && frame.ts_ms < view.rider.ts_ms)) return view;
      return { ...view, rider: frame, etaMs: frame.eta_ms || view.etaMs, epoch: frame.epoch };
    case "eta":
      return { ...view, ...planOf(frame), epoch: frame.epoch, seq: Math.max(view.seq, frame.seq) };
    case "resumed":
      return { ...view, ...planOf(frame), status: frame.status, rider: frame.rider, epoch: frame.epoch, seq: frame.seq };
    case "status": {
      if (frame.seq !== 0 && frame.seq <= view.seq) return view;
      const event = { seq: frame.seq, status: frame.status, at_ms: frame.at_ms };
      return {
        ...view,
        ...planOf(frame),
        status: frame.status,
        events: [...view.events, event],
        rider: isOver(frame.status) ? null : view.rider,
        epoch: frame.epoch,
        seq: Math.max(view.seq, frame.seq),
      };
    }
    default:
      // A kind that a newer server sends and this page does not know.
      return view;
  }
}

function planOf(frame: { eta_ms: number | null; eta_p90_ms: number | null; stops: Stop[] }) {
  return { etaMs: frame.eta_ms, etaP90Ms: frame.eta_p90_ms, stops: frame.stops };
}
