import { describe, expect, it } from "vitest";
import { tokenOf } from "../api";
import { mercator, unmercator } from "../map/mercator";
import { stepsOf } from "../track/steps";
import { domainOfWall, wallOfDomain } from "./clock";
import { Window } from "./percentiles";
import { isFinal, waitMs } from "./socket";

describe("clock", () => {
  it("goes there and back at 60 times the speed", () => {
    const line = { speed: 60, anchor_wall_ms: 1000, anchor_domain_ms: 5_000_000 };
    expect(wallOfDomain(line, 5_060_000)).toBe(2000);
    expect(domainOfWall(line, 2000)).toBe(5_060_000);
  });
});

describe("window of measurements", () => {
  it("gives nearest-rank percentiles of what is young enough", () => {
    const window = new Window(1000);
    window.add(9999, 0);
    for (let i = 1; i <= 100; i++) window.add(i, 1500);
    expect(window.percentiles([0.5, 0.99, 1], 2000)).toEqual([50, 99, 100]);
  });

  it("says nothing when nothing was measured lately", () => {
    const window = new Window(1000);
    window.add(1, 0);
    expect(window.percentiles([0.5], 5000)).toBeNull();
  });

  it("never holds more than it may", () => {
    const window = new Window(1e9, 10);
    for (let i = 0; i < 100; i++) window.add(i, i);
    expect(window.size).toBe(10);
  });
});

describe("reconnecting", () => {
  it("waits longer each time, up to a limit, with jitter", () => {
    expect(waitMs(1, () => 1)).toBe(300);
    expect(waitMs(3, () => 1)).toBe(1200);
    expect(waitMs(30, () => 1)).toBe(5000);
    expect(waitMs(1, () => 0)).toBe(150);
  });

  it("does not come back after a refusal, but does after a restart", () => {
    expect([1000, 4400, 4401, 4403, 4404].map(isFinal)).toEqual([true, true, true, true, true]);
    expect([1001, 1006, 1012, 4429, 4503].map(isFinal)).toEqual([false, false, false, false, false]);
  });
});

describe("steps", () => {
  it("are done, now, and ahead", () => {
    const events = [
      { seq: 0, status: "placed" as const, at_ms: 1 },
      { seq: 1, status: "accepted" as const, at_ms: 2 },
    ];
    expect(stepsOf("accepted", events).map((step) => step.state)).toEqual(["done", "now", "ahead", "ahead", "ahead"]);
  });

  it("are all done at the door", () => {
    const states = stepsOf("delivered", [{ seq: 9, status: "delivered", at_ms: 9 }]).map((step) => step.state);
    expect(states).toEqual(["done", "done", "done", "done", "done"]);
  });

  it("go back when the rider gave the order up", () => {
    const events = [
      { seq: 2, status: "assigned" as const, at_ms: 2 },
      { seq: 3, status: "accepted" as const, at_ms: 3 },
    ];
    expect(stepsOf("accepted", events)[2]?.state).toBe("ahead");
  });
});

describe("addresses and places", () => {
  it("take the token from the fragment", () => {
    expect(tokenOf("#token=a.b.c")).toBe("a.b.c");
    expect(tokenOf("")).toBe("");
  });

  it("project there and back", () => {
    const [lat, lng] = unmercator(...mercator(-29.9045, -71.2489));
    expect(lat).toBeCloseTo(-29.9045, 9);
    expect(lng).toBeCloseTo(-71.2489, 9);
  });
});
