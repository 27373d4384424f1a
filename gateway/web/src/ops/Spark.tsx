const SECONDS = 60;

/** A minute of medians as a line, now at the right; the top is the largest of them, but never less than 100 ms. */
export function Spark({ values }: { values: readonly number[] }) {
  const top = Math.max(100, ...values);
  const points = values.map((value, i) => `${100 - ((values.length - 1 - i) / (SECONDS - 1)) * 100},${30 - (Math.max(0, value) / top) * 28}`);
  return (
    <svg className="spark" viewBox="0 0 100 32" preserveAspectRatio="none" aria-hidden="true">
      {points.length > 1 && <polyline points={points.join(" ")} vectorEffect="non-scaling-stroke" />}
    </svg>
  );
}
