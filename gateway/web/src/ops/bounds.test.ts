import { describe, expect, it } from "vitest";
import type { CityFrame } from "../live/frames";
import { mercator } from "../map/mercator";
import { firstView, isOneView } from "./bounds";
import { Scene } from "./scene";

function frameAt(lngs: readonly number[]): CityFrame {
  const n = lngs.length;
  return {
    city: "suva",
    epoch: 1,
    riders: {
      id: lngs.map((_, i) => `${i}`),
      lat_e7: new Array<number>(n).fill(-180_000_000),
      lng_e7: lngs.map((lng) => Math.round(lng * 1e7)),
      ts_ms: new Array<number>(n).fill(1),
      state: new Array<number>(n).fill(1),
    },
    orders: [],
  } as unknown as CityFrame;
}

describe("the extent of what is shown", () => {
  it("holds two cities on both sides of the date line in one narrow view", () => {
    const view = firstView([{ center: { lat: -18, lng: 179.9 } }, { center: { lat: -18, lng: -179.9 } }]);
    expect(isOneView(view)).toBe(true);
    expect(view[0][0]).toBeCloseTo(179.85);
    expect(view[1][0]).toBeCloseTo(180.15);
  });

  it("takes the first of two cities that are far apart", () => {
    const view = firstView([{ center: { lat: -30, lng: -71 } }, { center: { lat: 52, lng: 13 } }]);
    expect(view[0][0]).toBeCloseTo(-71.05);
    expect(view[1][0]).toBeCloseTo(-70.95);
  });

  it("frames riders on both sides of the date line without going round the earth", () => {
    const scene = new Scene(mercator(-18, 179.95), -18, 0);
    scene.city(frameAt([179.9, -179.9]), 0);
    const [west, east] = scene.bounds("suva", 0)!;
    expect(west[0]).toBeCloseTo(179.9);
    expect(east[0]).toBeCloseTo(180.1);
    const [x, y] = mercator(-18, -179.9);
    expect(scene.nearest(x, y, 1e-5, 0)?.id).toBe("1");
  });
});
