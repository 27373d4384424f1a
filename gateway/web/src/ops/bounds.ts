import type { City } from "../api";

/** South-west and north-east corner, longitude first, degrees. East of the date line longitudes go on beyond 180. */
export type Bounds = [[number, number], [number, number]];

/** Cities further apart than this are not shown together at first, degrees. */
const ONE_VIEW_DEG = 1.5;
/** Half of the first view's height where nothing moves yet, degrees. */
const FIRST_VIEW_DEG = 0.05;

export function isOneView(bounds: Bounds): boolean {
  return bounds[1][0] - bounds[0][0] < ONE_VIEW_DEG && bounds[1][1] - bounds[0][1] < ONE_VIEW_DEG;
}

/** The middles of the cities, with some room around; of the first one alone where they are far apart. */
export function firstView(cities: readonly Pick<City, "center">[]): Bounds {
  const first = cities[0]?.center.lng ?? 0;
  const around = (shown: readonly Pick<City, "center">[]): Bounds => {
    const lngs = shown.map((city) => city.center.lng - 360 * Math.round((city.center.lng - first) / 360));
    const lats = shown.map((city) => city.center.lat);
    return [
      [Math.min(...lngs) - FIRST_VIEW_DEG, Math.min(...lats) - FIRST_VIEW_DEG],
      [Math.max(...lngs) + FIRST_VIEW_DEG, Math.max(...lats) + FIRST_VIEW_DEG],
    ];
  };
  const all = around(cities);
  return cities.length > 0 && isOneView(all) ? all : around(cities.slice(0, 1));
}
