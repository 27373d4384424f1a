import maplibregl, { type GeoJSONSource, type Map as MapLibre, type Point } from "maplibre-gl";
import type { Feature, FeatureCollection, Position } from "geojson";
import type { City } from "../api";
import type { ClockLine } from "../live/clock";
import type { CityFrame, Moves } from "../live/frames";
import { createMap, type Roads } from "../map/basemap";
import { MotionLayer } from "../map/layer";
import { mercator } from "../map/mercator";
import { RIDER_STYLES, shardColor } from "../map/palette";
import { firstView, isOneView } from "./bounds";
import { Scene } from "./scene";

/** Room that a city's name takes, pixels. */
const LABEL = { width: 92, height: 40 };
/** Share of riders at each edge that the first view may leave out. */
const OUTLIERS = 0.03;

/** The map of the ops page: cities in the colour of their shard, and everything that moves. */
export class CityMap {
  readonly map: MapLibre;
  private readonly scene: Scene;
  private readonly labels = new Map<string, HTMLElement>();
  private readonly tip: maplibregl.Popup;
  private owners = "";
  private framed = false;

  constructor(
    container: HTMLElement,
    private readonly cities: readonly City[],
    roads: Roads | null,
    private readonly clock: () => ClockLine | null,
    onDrawn: (agesMs: number[]) => void,
  ) {
    const first = cities[0];
    const center = first?.center ?? { lat: 0, lng: 0 };
    const epochMs = performance.now();
    const origin = mercator(center.lat, center.lng);
    this.scene = new Scene(origin, center.lat, epochMs);
    this.map = createMap(container, roads, firstView(cities));
    this.tip = new maplibregl.Popup({ closeButton: false, closeOnClick: false, className: "tip", offset: 10 });
    const layer = new MotionLayer(
      origin,
      this.scene.buffers,
      {
        beforeFrame: (nowMs) => this.scene.beforeFrame(nowMs),
        afterFrame: () => {
          const clock = this.clock();
          if (clock !== null) onDrawn(this.scene.drawn(clock));
        },
      },
      epochMs,
    );
    this.map.on("load", () => {
      this.addCities();
      this.map.addLayer(layer);
      container.dataset["ready"] = "true";
    });
    for (const touch of ["dragstart", "wheel", "dblclick"] as const) this.map.on(touch, () => (this.framed = true));
    this.map.on("mousemove", (event) => this.point(event.lngLat.lat, event.lngLat.lng));
    this.map.on("mouseout", () => this.tip.remove());
  }

  city(frame: CityFrame): void {
    this.scene.city(frame, performance.now());
  }

  moves(frame: Moves): void {
    this.scene.moves(frame, performance.now());
  }

  get riders(): number {
    return this.scene.riders.size;
  }

  /** Tints the cities by their owners. */
  paint(ownerOf: ReadonlyMap<string, string | null>, colors: Map<string, string>): void {
    const key = JSON.stringify([...ownerOf]);
    const source = this.map.getSource<GeoJSONSource>("cities");
    if (key === this.owners || source === undefined) return;
    this.owners = key;
    const features = this.cities.flatMap((city): Feature[] => {
      if (city.polygon === null) return [];
      const color = shardColor(colors, ownerOf.get(city.city) ?? null);
      return [{ type: "Feature", properties: { color }, geometry: city.polygon }];
    });
    source.setData({ type: "FeatureCollection", features } satisfies FeatureCollection);
    for (const city of this.cities) {
      const owner = ownerOf.get(city.city) ?? null;
      const element = this.labels.get(city.city);
      if (element === undefined) continue;
      element.style.setProperty("--shard", shardColor(colors, owner));
      element.querySelector("small")!.textContent = owner ?? "no owner";
    }
  }

  /** Frames the riders, once, unless somebody has moved the map before. */
  frameRiders(): void {
    if (this.framed || this.scene.riders.size === 0) return;
    this.framed = true;
    const bounds = this.scene.bounds(null, OUTLIERS);
    if (bounds !== null && isOneView(bounds)) this.map.fitBounds(bounds, { padding: framePadding(), duration: 1200 });
  }

  /** Goes to where a city's riders are, or to its middle. */
  fly(city: City): void {
    this.framed = true;
    const bounds = this.scene.bounds(city.city, OUTLIERS) ?? firstView([city]);
    if (bounds !== null) this.map.fitBounds(bounds, { padding: framePadding(), duration: 900 });
  }

  remove(): void {
    this.map.remove();
  }

  private addCities(): void {
    this.map.addSource("cities", { type: "geojson", data: { type: "FeatureCollection", features: [] } });
    const first = this.map.getStyle().layers.find((layer) => layer.id.startsWith("road-"))?.id;
    this.map.addLayer(
      {
        id: "city-tint",
        type: "fill",
        source: "cities",
        paint: { "fill-color": ["get", "color"], "fill-opacity": 0.07 },
      },
      first,
    );
    this.map.addLayer({
      id: "city-border",
      type: "line",
      source: "cities",
      layout: { "line-join": "round" },
      paint: { "line-color": ["get", "color"], "line-opacity": 0.55, "line-width": 1.2, "line-dasharray": [4, 3] },
    });
    for (const city of this.cities) {
      const element = document.createElement("div");
      element.className = "city-label";
      element.innerHTML = "<b></b><small></small>";
      element.querySelector("b")!.textContent = city.name;
      this.map.getContainer().append(element);
      this.labels.set(city.city, element);
    }
    this.map.on("move", () => this.placeLabels());
    this.placeLabels();
  }

  /** A city's name stands in the upper left of what is to be seen of it: the first spot where all of it fits. */
  private placeLabels(): void {
    for (const city of this.cities) {
      const label = this.labels.get(city.city);
      if (label === undefined) continue;
      const spot = this.labelSpot(city);
      label.hidden = spot === null;
      if (spot !== null) label.style.transform = `translate(${spot[0]}px, ${spot[1]}px)`;
    }
  }

  private labelSpot(city: City): [number, number] | null {
    const rings = ringsOf(city).map((ring) => ring.map((at) => this.map.project([at[0]!, at[1]!])));
    const xs = rings.flat().map((at) => at.x);
    const ys = rings.flat().map((at) => at.y);
    const edge = labelEdge();
    const { clientWidth, clientHeight } = this.map.getContainer();
    const right = Math.min(Math.max(...xs), clientWidth) - LABEL.width;
    const bottom = Math.min(Math.max(...ys), clientHeight - edge.bottom) - LABEL.height;
    for (let y = Math.max(Math.min(...ys), edge.top) + 8; y < bottom; y += 12) {
      for (let x = Math.max(Math.min(...xs), edge.left) + 10; x < right; x += 24) {
        const corners = [0, LABEL.width].flatMap((dx) => [0, LABEL.height].map((dy) => [x + dx, y + dy] as const));
        if (corners.every((corner) => inside(rings, corner))) return [Math.round(x), Math.round(y)];
      }
    }
    return null;
  }

  private point(lat: number, lng: number): void {
    const [x, y] = mercator(lat, lng);
    const pixel = 360 / (512 * 2 ** this.map.getZoom()) / 360;
    const nowMs = performance.now();
    const rider = this.scene.nearest(x, y, 12 * pixel, nowMs);
    this.map.getCanvas().style.cursor = rider === null ? "" : "pointer";
    if (rider === null) {
      this.tip.remove();
      return;
    }
    const text = document.createElement("div");
    const doing = document.createElement("b");
    doing.textContent = RIDER_STYLES[rider.activity].name;
    const id = document.createElement("small");
    id.textContent = `rider ${rider.id}`;
    text.append(doing, id);
    this.tip.setLngLat([lng, lat]).setDOMContent(text).addTo(this.map);
  }
}

function ringsOf(city: City): Position[][] {
  const shape = city.polygon;
  if (shape?.type === "Polygon") return shape.coordinates;
  return shape?.type === "MultiPolygon" ? shape.coordinates.flat() : [];
}

/** Whether a point is inside of rings, by counting crossings of a ray to the right. */
function inside(rings: readonly (readonly Point[])[], [x, y]: readonly [number, number]): boolean {
  let crossings = 0;
  for (const ring of rings) {
    for (let i = 0, j = ring.length - 1; i < ring.length; j = i++) {
      const a = ring[i]!;
      const b = ring[j]!;
      if (a.y > y !== b.y > y && x < ((b.x - a.x) * (y - a.y)) / (b.y - a.y) + a.x) crossings += 1;
    }
  }
  return crossings % 2 === 1;
}

/** Room for the panel at the left, or on a phone below. */
export function framePadding(): { top: number; bottom: number; left: number; right: number } {
  return window.innerWidth > 760
    ? { top: 40, bottom: 40, left: 370, right: 40 }
    : { top: 70, bottom: Math.round(window.innerHeight * 0.42), left: 20, right: 20 };
}

/** Where the panel leaves room for names. */
function labelEdge(): { left: number; top: number; bottom: number } {
  return window.innerWidth > 760
    ? { left: 356, top: 0, bottom: 0 }
    : { left: 0, top: 40, bottom: Math.round(window.innerHeight * 0.4) };
}
