import { describe, expect, it } from "vitest";
import { placeAt, progress, steer, still } from "./motion";

describe("motion", () => {
  it("stands still until it is steered", () => {
    expect(placeAt(still(3, 4, 1000), 99_000)).toEqual([3, 4]);
  });

  it("glides from where the thing is shown, not from the last fix", () => {
    const glide = still(0, 0, 0);
    steer(glide, 10, 0, 1000, 100);
    const [half] = placeAt(glide, 1000 + glide.durationMs / 2);
    expect(half).toBeCloseTo(5);
    steer(glide, 10, 10, 1000 + glide.durationMs / 2, 100);
    expect([glide.fromX, glide.fromY]).toEqual([half, 0]);
  });

  it("waits at the fix when the next one is late", () => {
    const glide = still(0, 0, 0);
    steer(glide, 10, 0, 1000, 100);
    expect(progress(glide, 60_000)).toBe(1);
    expect(placeAt(glide, 60_000)).toEqual([10, 0]);
  });

  it("takes on the rhythm of the fixes within bounds", () => {
    const glide = still(0, 0, 0);
    for (let i = 1; i <= 20; i++) steer(glide, i, 0, i * 400, 100);
    expect(glide.durationMs).toBeCloseTo(400, -1);
    steer(glide, 100, 0, 1_000_000, 1000);
    expect(glide.durationMs).toBeLessThanOrEqual(2500);
  });

  it("jumps at once where a glide would be a lie", () => {
    const glide = still(0, 0, 0);
    steer(glide, 500, 0, 1000, 100);
    expect(placeAt(glide, 1000)).toEqual([500, 0]);
  });

  it("is not disturbed by a fix that says the same", () => {
    const glide = still(0, 0, 0);
    steer(glide, 10, 0, 1000, 100);
    const before = { ...glide };
    steer(glide, 10, 0, 1300, 100);
    expect(glide).toEqual(before);
  });
});
