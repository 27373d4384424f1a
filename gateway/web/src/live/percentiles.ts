/** A sliding window over measurements: those of the last `spanMs`, at most `capacity` of them. */
export class Window {
  private readonly values: { atMs: number; value: number }[] = [];

  constructor(
    private readonly spanMs: number,
    private readonly capacity = 4000,
  ) {}

  add(value: number, atMs: number): void {
    this.values.push({ atMs, value });
    if (this.values.length > this.capacity) this.values.shift();
  }

  /** Nearest-rank percentiles, one for each q in 0..1; null when nothing was measured lately. */
  percentiles(qs: readonly number[], nowMs: number): number[] | null {
    while (this.values.length > 0 && this.values[0]!.atMs < nowMs - this.spanMs) this.values.shift();
    if (this.values.length === 0) return null;
    const sorted = this.values.map((entry) => entry.value).sort((a, b) => a - b);
    return qs.map((q) => sorted[Math.min(sorted.length - 1, Math.max(0, Math.ceil(q * sorted.length) - 1))]!);
  }

  get size(): number {
    return this.values.length;
  }
}
