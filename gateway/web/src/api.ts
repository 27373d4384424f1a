import type { Geometry } from "geojson";
import type { ClockLine } from "./live/clock";

export interface EdgeConfig {
  live_url: string;
  clock: ClockLine;
  basemap: boolean;
}

export interface City {
  city: string;
  name: string;
  shard_id: string | null;
  epoch: number;
  /** IANA name. */
  time_zone: string;
  center: { lat: number; lng: number };
  polygon: Geometry | null;
}

/** The token in the address's fragment, which browsers never send to a server. */
export function tokenOf(hash: string): string {
  return new URLSearchParams(hash.replace(/^#/, "")).get("token") ?? "";
}

export async function fetchConfig(): Promise<EdgeConfig> {
  return getJson<EdgeConfig>("/v1/config");
}

export async function fetchCities(): Promise<City[]> {
  return (await getJson<{ cities: City[] }>("/v1/cities")).cities;
}

export async function getJson<T>(path: string): Promise<T> {
  const answer = await fetch(path);
  if (!answer.ok) throw new Error(`${path}: ${answer.status}`);
  return (await answer.json()) as T;
}
