import type { OrderState, RiderActivity } from "../live/frames";

/** The page's colours, in one place. Map colours are kept apart from each other for colour-blind eyes by lightness too. */
export const INK = {
  land: "#0c1015",
  sea: "#0a1624",
  text: "#e8edf3",
};

export type Rgb = readonly [number, number, number];

export const RIDER_STYLES: Readonly<Record<RiderActivity, { name: string; color: string }>> = {
  offline: { name: "Offline", color: "#4a5564" },
  idle: { name: "Idle", color: "#9db2c9" },
  offered: { name: "Offered an order", color: "#ffe08a" },
  to_pickup: { name: "To the restaurant", color: "#ff9a5c" },
  to_dropoff: { name: "To the customer", color: "#4ade9b" },
};

export const ORDER_COLORS: Readonly<Record<OrderState, string>> = {
  open: "#ff6b8a",
  offered: "#ffe08a",
  assigned: "#ff9a5c",
  picked_up: "#4ade9b",
  delivered: "#4ade9b",
  cancelled: "#6b7686",
  failed: "#6b7686",
  unspecified: "#6b7686",
};

const SHARDS = ["#6aa5ff", "#c08bff", "#46c9c0", "#f283c0", "#c5d46a", "#ff8f7a", "#8fb7d9", "#e0b25c"];
const NO_SHARD = "#5a6573";

/** Colour of each shard, by its place in the sorted list: the same on every page. */
export function shardColors(shards: readonly string[]): Map<string, string> {
  return new Map([...shards].sort().map((shard, index) => [shard, SHARDS[index % SHARDS.length]!]));
}

export function shardColor(colors: Map<string, string>, shard: string | null): string {
  return (shard !== null ? colors.get(shard) : undefined) ?? NO_SHARD;
}

export function rgb(hex: string): Rgb {
  const value = Number.parseInt(hex.slice(1), 16);
  return [(value >> 16) / 255, ((value >> 8) & 255) / 255, (value & 255) / 255];
}
