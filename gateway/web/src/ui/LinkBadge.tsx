import type { Link } from "../live/socket";

const WORDS: Record<Link["kind"], string> = {
  connecting: "Connecting",
  live: "Live",
  reconnecting: "Reconnecting",
  ended: "Ended",
  refused: "Refused",
};

/** Whether what is on the screen is of now. */
export function LinkBadge({ link }: { link: Link }) {
  return (
    <span className={`badge ${link.kind}`} role="status">
      {WORDS[link.kind]}
    </span>
  );
}
