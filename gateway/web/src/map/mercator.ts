/** Web mercator, the world as a unit square (x east, y south), as MapLibre's custom layers want it. */
export function mercator(lat: number, lng: number): [number, number] {
  const y = Math.log(Math.tan(Math.PI / 4 + (lat * Math.PI) / 360));
  return [(180 + lng) / 360, (1 - y / Math.PI) / 2];
}

export function unmercator(x: number, y: number): [number, number] {
  const lat = (Math.atan(Math.exp(Math.PI * (1 - 2 * y))) * 360) / Math.PI - 90;
  return [lat, x * 360 - 180];
}

/** Length of a metre at a latitude, in units of the unit square. */
export function metre(lat: number): number {
  return 1 / (40_075_016.7 * Math.cos((lat * Math.PI) / 180));
}
