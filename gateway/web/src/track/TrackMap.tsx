import maplibregl, { type GeoJSONSource, type Map as MapLibre } from "maplibre-gl";
import { useEffect, useRef } from "react";
import type { Feature } from "geojson";
import type { Place, RiderView } from "../live/frames";
import { type Glide, placeAt, steer, still } from "../live/motion";
import { isOver, type OrderView } from "../live/order";
import { createMap, type Roads } from "../map/basemap";

const RESTAURANT = `<svg viewBox="0 0 24 24" aria-hidden="true"><path d="M7 3v7a2 2 0 0 0 1.5 1.900V21M5 3v5M9 3v5M16 3c-1.7 1-2.5 3.2-2.5 5.5 0 2 .8 3.3 2.5 3.500v9" fill="none" stroke="currentColor" stroke-width="1.8" stroke-linecap="round"/></svg>`;
const HOME = `<svg viewBox="0 0 24 24" aria-hidden="true"><path d="m4 11 8-7 8 7v8.500a.5.5 0 0 1-.5.5H14v-5h-4v5H4.500a.5.5 0 0 1-.5-.5z" fill="none" stroke="currentColor" stroke-width="1.8" stroke-linejoin="round"/></svg>`;
const PIZZA = `<svg viewBox="0 0 24 24" aria-hidden="true"><path d="M3.5 7.500C8.7 4.7 15.3 4.7 20.5 7.500L12 21z" fill="#ffd9a8"/><path d="M3.5 7.500C8.7 4.7 15.3 4.7 20.5 7.500l-1.2 1.900c-4.5-2.3-10.1-2.3-14.6 0z" fill="#b5451b"/><circle cx="10" cy="11.5" r="1.5" fill="#d9412b"/><circle cx="14" cy="11" r="1.3" fill="#d9412b"/><circle cx="12" cy="15.5" r="1.3" fill="#d9412b"/></svg>`;

/** Degrees that a rider hardly drives between two fixes. */
const JUMP_DEG = 0.05;

/** The map of one order: restaurant, home, and the rider as far as the customer may see. */
export function TrackMap({ view, roads }: { view: OrderView; roads: Roads | null }) {
  const container = useRef<HTMLDivElement>(null);
  const drawn = useRef<Drawn | null>(null);

  useEffect(() => {
    if (container.current === null) return;
    const made = new Drawn(container.current, roads, view.restaurant, view.dropoff);
    drawn.current = made;
    return () => {
      made.remove();
      drawn.current = null;
    };
    // The places of an order never change.
  }, [roads]);

  useEffect(() => drawn.current?.show(view), [view, roads]);

  return <div ref={container} className="map" role="application" aria-label="Map of your order" />;
}

class Drawn {
  private readonly map: MapLibre;
  private readonly rider: maplibregl.Marker;
  private glide: Glide | null = null;
  private timer = 0;
  private loaded = false;
  private cell: RiderView["border"];
  private over = false;
  private framed = "";

  constructor(
    private readonly container: HTMLElement,
    roads: Roads | null,
    private readonly restaurant: Place,
    private readonly dropoff: Place,
  ) {
    this.map = createMap(container, roads, this.bounds([]));
    pin(this.map, "pin restaurant", RESTAURANT, restaurant);
    pin(this.map, "pin home", HOME, dropoff);
    this.rider = new maplibregl.Marker({ element: mark("rider", PIZZA) });
    this.map.on("load", () => {
      this.map.addSource("cell", { type: "geojson", data: empty() });
      this.map.addLayer({
        id: "cell-fill",
        type: "fill",
        source: "cell",
        paint: { "fill-color": "#ff9a5c", "fill-opacity": 0.16 },
      });
      this.map.addLayer({
        id: "cell-line",
        type: "line",
        source: "cell",
        paint: { "line-color": "#ff9a5c", "line-opacity": 0.8, "line-width": 1.5, "line-dasharray": [2, 2] },
      });
      this.map.addSource("way", { type: "geojson", data: empty() });
      this.map.addLayer({
        id: "way",
        type: "line",
        source: "way",
        layout: { "line-cap": "round" },
        paint: { "line-color": "#ff9a5c", "line-opacity": 0.6, "line-width": 2.5, "line-dasharray": [0.1, 2.2] },
      });
      this.loaded = true;
      this.paint();
      this.container.dataset["ready"] = "true";
    });
    this.tick();
  }

  show(view: OrderView): void {
    this.over = isOver(view.status);
    const rider = view.rider;
    this.cell = rider?.border;
    if (rider === null || rider.cell !== undefined) {
      this.glide = null;
      this.rider.remove();
    } else {
      const nowMs = performance.now();
      if (this.glide === null) {
        this.glide = still(rider.lng, rider.lat, nowMs);
        this.rider.setLngLat([rider.lng, rider.lat]).addTo(this.map);
      } else steer(this.glide, rider.lng, rider.lat, nowMs, JUMP_DEG);
    }
    this.container.dataset["rider"] = rider === null ? "none" : rider.cell !== undefined ? "cell" : "exact";
    this.paint();
    this.frame(rider);
  }

  remove(): void {
    cancelAnimationFrame(this.timer);
    this.map.remove();
  }

  /** Moves the pizza between two fixes. */
  private readonly tick = (): void => {
    this.timer = requestAnimationFrame(this.tick);
    if (this.glide === null) return;
    const [lng, lat] = placeAt(this.glide, performance.now());
    this.rider.setLngLat([lng, lat]);
  };

  private paint(): void {
    if (!this.loaded) return;
    const ring = this.cell === undefined ? null : [...this.cell, this.cell[0]!];
    this.map
      .getSource<GeoJSONSource>("cell")
      ?.setData(ring === null ? empty() : feature({ type: "Polygon", coordinates: [ring] }));
    const from: [number, number] | null = this.glide === null ? null : [this.glide.toX, this.glide.toY];
    const to: [number, number] = [this.dropoff.lng, this.dropoff.lat];
    this.map
      .getSource<GeoJSONSource>("way")
      ?.setData(
        from === null || this.over ? empty() : feature({ type: "LineString", coordinates: bow(from, to) }),
      );
  }

  /** Frames what matters, again only when it is something else: the cell, or the way that is left. */
  private frame(rider: RiderView | null): void {
    const kind = rider === null ? "places" : rider.cell !== undefined ? "cell" : "way";
    if (kind === this.framed) return;
    this.framed = kind;
    const more = rider === null ? [] : (rider.border ?? [[rider.lng, rider.lat] as [number, number]]);
    this.map.fitBounds(this.bounds(more), { padding: padding(), maxZoom: 15.5, duration: 700 });
  }

  private bounds(more: readonly (readonly [number, number])[]): maplibregl.LngLatBounds {
    const bounds = new maplibregl.LngLatBounds();
    bounds.extend([this.restaurant.lng, this.restaurant.lat]).extend([this.dropoff.lng, this.dropoff.lat]);
    for (const at of more) bounds.extend([at[0], at[1]]);
    return bounds;
  }
}

function mark(kind: string, svg: string): HTMLElement {
  const element = document.createElement("div");
  element.className = kind;
  element.innerHTML = svg;
  return element;
}

function pin(map: MapLibre, kind: string, svg: string, at: Place): void {
  new maplibregl.Marker({ element: mark(kind, svg) }).setLngLat([at.lng, at.lat]).addTo(map);
}

function padding(): { top: number; bottom: number; left: number; right: number } {
  return window.innerWidth > 760
    ? { top: 80, bottom: 80, left: 480, right: 80 }
    : { top: 60, bottom: Math.round(window.innerHeight * 0.5), left: 40, right: 40 };
}

function empty(): Feature {
  return feature({ type: "LineString", coordinates: [] });
}

function feature(geometry: Feature["geometry"]): Feature {
  return { type: "Feature", properties: {}, geometry };
}

/** A gentle bow between two places: we do not know the streets that will be taken, and do not pretend to. */
function bow(a: readonly [number, number], b: readonly [number, number]): [number, number][] {
  const midX = (a[0] + b[0]) / 2 - (b[1] - a[1]) * 0.12;
  const midY = (a[1] + b[1]) / 2 + (b[0] - a[0]) * 0.12;
  return Array.from({ length: 25 }, (_, i): [number, number] => {
    const t = i / 24;
    const s = 1 - t;
    return [s * s * a[0] + 2 * s * t * midX + t * t * b[0], s * s * a[1] + 2 * s * t * midY + t * t * b[1]];
  });
}
