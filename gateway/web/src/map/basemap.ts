import maplibregl, { type LngLatBoundsLike, type StyleSpecification } from "maplibre-gl";
import type { FeatureCollection } from "geojson";
import { INK } from "./palette";

/** Width at zoom 11 and 16, colour, and the zoom from which it is drawn. */
const ROADS: readonly { classes: string[]; wide: [number, number]; color: string; from: number }[] = [
  { classes: ["living_street", "residential", "unclassified"], wide: [0.25, 3.2], color: "#212b38", from: 11.5 },
  { classes: ["tertiary"], wide: [0.6, 4.5], color: "#283443", from: 10.5 },
  { classes: ["secondary"], wide: [0.9, 5.5], color: "#304052", from: 10 },
  { classes: ["primary"], wide: [1.2, 6.5], color: "#394b5f", from: 9 },
  { classes: ["trunk", "motorway"], wide: [1.5, 7.5], color: "#445970", from: 8 },
];

export interface Roads {
  data: FeatureCollection;
  attribution: string;
}

/** The roads, or null where this gateway has none. */
export async function fetchRoads(): Promise<Roads | null> {
  const answer = await fetch("/basemap/roads.geojson");
  if (!answer.ok) return null;
  const data = (await answer.json()) as FeatureCollection & { attribution?: string };
  return { data, attribution: data.attribution ?? "" };
}

function style(roads: Roads | null): StyleSpecification {
  const base: StyleSpecification = {
    version: 8,
    sources: {},
    layers: [{ id: "land", type: "background", paint: { "background-color": INK.land } }],
  };
  if (roads === null) return base;
  base.sources["roads"] = { type: "geojson", data: roads.data, attribution: roads.attribution, tolerance: 0.2 };
  base.layers.push({
    id: "sea",
    type: "fill",
    source: "roads",
    filter: ["==", ["get", "class"], "sea"],
    paint: { "fill-color": INK.sea },
  });
  for (const road of ROADS) {
    base.layers.push({
      id: `road-${road.classes[0]}`,
      type: "line",
      source: "roads",
      minzoom: road.from,
      filter: ["in", ["get", "class"], ["literal", road.classes]],
      layout: { "line-cap": "round", "line-join": "round" },
      paint: {
        "line-color": road.color,
        "line-width": ["interpolate", ["exponential", 1.5], ["zoom"], 11, road.wide[0], 16, road.wide[1]],
      },
    });
  }
  return base;
}

/** A map with the roads and nothing that would ask the network for anything. */
export function createMap(container: HTMLElement, roads: Roads | null, bounds: LngLatBoundsLike): maplibregl.Map {
  const map = new maplibregl.Map({
    container,
    style: style(roads),
    bounds,
    attributionControl: false,
    dragRotate: false,
    pitchWithRotate: false,
    touchPitch: false,
    maxZoom: 18,
    minZoom: 2,
  });
  map.touchZoomRotate.disableRotation();
  map.keyboard.disableRotation();
  if (roads?.attribution) {
    map.addControl(new maplibregl.AttributionControl({ compact: false, customAttribution: [] }), "bottom-right");
  }
  return map;
}
