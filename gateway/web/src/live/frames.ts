import type { ClockLine } from "./clock";

/** What the live process sends; `gateway/README.md` describes every frame. Times are domain milliseconds. */

export type OrderStatus =
  | "placed"
  | "authorised"
  | "accepted"
  | "assigned"
  | "picked_up"
  | "delivered"
  | "completed"
  | "cancelled"
  | "declined"
  | "failed";

export interface Place {
  lat: number;
  lng: number;
}

/** A rider: a cell with its border before pickup, a place after. */
export interface RiderView extends Place {
  ts_ms: number;
  heading?: number | null;
  cell?: string;
  border?: [number, number][];
}

export interface StatusEvent {
  seq: number;
  status: OrderStatus;
  at_ms: number;
}

export interface Stop extends Place {
  kind: "pickup" | "dropoff";
  eta_ms: number;
  stops_before: number;
}

interface Plan {
  eta_ms: number | null;
  eta_p90_ms: number | null;
  stops: Stop[];
}

export interface Snapshot extends Plan {
  type: "snapshot";
  order_id: string;
  city: string;
  status: OrderStatus;
  events: StatusEvent[];
  rider: RiderView | null;
  promised_ms: number | null;
  restaurant: Place & { name: string };
  dropoff: Place;
  epoch: number;
  seq: number;
  clock: ClockLine;
}

export interface Resumed extends Plan {
  type: "resumed";
  status: OrderStatus;
  rider: RiderView | null;
  epoch: number;
  seq: number;
}

export interface Status extends Plan, StatusEvent {
  type: "status";
  epoch: number;
}

export interface Eta extends Plan {
  type: "eta";
  epoch: number;
  seq: number;
}

export interface Position extends RiderView {
  type: "position";
  eta_ms: number | null;
  epoch: number;
}

/** Says only that the line lives. */
export interface Heartbeat {
  type: "heartbeat";
}

export type OrderFrame = Snapshot | Resumed | Status | Eta | Position | Heartbeat;

export interface CityOwner {
  city: string;
  shard_id: string | null;
  epoch: number;
  moving_to: string | null;
}

export interface Shard {
  shard_id: string;
  alive: boolean;
  heartbeat_age_ms: number;
  riders: number;
  open_orders: number;
  tick_p99_ms: number;
}

export interface MapView {
  version: number;
  cities: CityOwner[];
  shards: Shard[];
}

export interface Hello extends MapView {
  type: "hello";
  clock: ClockLine;
}

export interface Stats extends MapView {
  type: "stats";
  viewers: number;
  fix_to_socket: { p50_ms: number; p99_ms: number } | null;
}

export type OrderState =
  | "open"
  | "offered"
  | "assigned"
  | "picked_up"
  | "delivered"
  | "cancelled"
  | "failed"
  | "unspecified";

export interface CityOrder {
  id: string;
  state: OrderState;
  pickup: [number, number];
  dropoff: [number, number];
  rider: string | null;
  eta_ms: number | null;
  promised_ms: number | null;
}

export interface Counters {
  fixes_applied: number;
  fixes_superseded: number;
  orders_delivered: number;
  offers_made: number;
  offers_declined: number;
  ticks_fallback: number;
  tick_p50_ms: number;
  tick_p99_ms: number;
  riders_online: number;
  orders_open: number;
}

/** What riders are doing, in the order of the numbers of `dispatch.v1.RiderActivity`. */
export const RIDER_ACTIVITIES = ["offline", "idle", "offered", "to_pickup", "to_dropoff"] as const;

export type RiderActivity = (typeof RIDER_ACTIVITIES)[number];

/** The name of a number in a frame; one that this page does not know yet counts as idle. */
export function riderActivity(number: number): RiderActivity {
  return RIDER_ACTIVITIES[number] ?? "idle";
}

/** Whether the rider has something to do, or is asked. */
export function isBusy(activity: RiderActivity): boolean {
  return activity !== "offline" && activity !== "idle";
}

export interface CityFrame {
  type: "city";
  city: string;
  epoch: number;
  shard_id: string;
  now_ms: number;
  tick: number;
  /** Columns of equal length; `state` are numbers, see `riderActivity`. */
  riders: { id: string[]; lat_e7: number[]; lng_e7: number[]; ts_ms: number[]; state: number[] };
  orders: CityOrder[];
  counters: Counters;
}

export interface Moves {
  type: "moves";
  city: string;
  epoch: number;
  /** rider, lat_e7, lng_e7, ts_ms */
  moves: [string, number, number, number][];
}

export type OpsFrame = Hello | Stats | CityFrame | Moves;
