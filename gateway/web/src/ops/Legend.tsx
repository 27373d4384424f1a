import { RIDER_ACTIVITIES } from "../live/frames";
import { ORDER_COLORS, RIDER_STYLES } from "../map/palette";

const LEGEND = RIDER_ACTIVITIES.filter((activity) => activity !== "offline").map((activity) => RIDER_STYLES[activity]);

/** What the marks on the map mean; folded away on a phone. */
export function Legend() {
  return (
    <details className="legend glass" open={window.innerWidth > 760}>
      <summary>Legend</summary>
      <ul>
        {LEGEND.map(({ name, color }) => (
          <li key={name}>
            <svg viewBox="0 0 16 16" aria-hidden="true">
              <circle cx="8" cy="8" r="4.2" fill={color} />
            </svg>
            {name}
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
