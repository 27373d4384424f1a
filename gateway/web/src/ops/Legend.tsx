import { ORDER_COLORS, RIDER_STATES } from "../map/palette";

/** What the marks on the map mean; folded away on a phone. */
export function Legend() {
  return (
    <details className="legend glass" open={window.innerWidth > 760}>
      <summary>Legend</summary>
      <ul>
        {RIDER_STATES.slice(1).map((state) => (
          <li key={state.name}>
            <svg viewBox="0 0 16 16" aria-hidden="true">
              <circle cx="8" cy="8" r="4.2" fill={state.color} />
            </svg>
            {state.name}
          </li>
        ))}
        <li>
          <svg viewBox="0 0 16 16" aria-hidden="true">
            <circle cx="8" cy="8" r="4.5" fill="none" stroke={ORDER_COLORS.open} strokeWidth="2.6" />
          </svg>
          Order without a rider
        </li>
        <li>
          <svg viewBox="0 0 16 16" aria-hidden="true">
            <path d="M8 2.8 13.2 8 8 13.2 2.8 8z" fill={ORDER_COLORS.picked_up} />
          </svg>
          Where it goes
        </li>
      </ul>
    </details>
  );
}
