import { callSign, laneOf, minutes, type Ticket } from "./board";
import type { Command } from "./commands";

const LATER_S = 5 * 60;

interface Props {
  ticket: Ticket;
  nowMs: number;
  timeZone: string | undefined;
  busy: boolean;
  say: (command: Command) => void;
}

/** One order, as a slip of paper on the rail. */
export function TicketCard({ ticket, nowMs, timeZone, busy, say }: Props) {
  const sign = callSign(ticket.order_id);
  return (
    <li className={`ticket ${urgency(ticket, nowMs)}`} aria-label={`Order ${sign}`}>
      <header>
        <b className="sign">{sign}</b>
        <Due ticket={ticket} nowMs={nowMs} timeZone={timeZone} />
      </header>
      <ul className="items">
        {ticket.items.map((item, number) => (
          <li key={number}>
            <b>{item.quantity}</b> {item.name}
          </li>
        ))}
      </ul>
      <Progress ticket={ticket} nowMs={nowMs} />
      <footer>
        <Buttons ticket={ticket} nowMs={nowMs} sign={sign} busy={busy} say={say} />
      </footer>
    </li>
  );
}

function Due({ ticket, nowMs, timeZone }: Pick<Props, "ticket" | "nowMs" | "timeZone">) {
  const time = (ms: number): string =>
    new Date(ms).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", ...(timeZone && { timeZone }) });
  switch (laneOf(ticket)) {
    case "new":
      return <span className="due">waiting {Math.max(0, minutes(nowMs - ticket.since_ms))} min</span>;
    case "cooking": {
      const readyMs = ticket.ready_ms ?? nowMs;
      const left = minutes(readyMs - nowMs);
      return (
        <span className="due">
          {left >= 0 ? `${left} min` : `${-left} min late`} <small>{time(readyMs)}</small>
        </span>
      );
    }
    default:
      return <span className="due">{Math.max(0, minutes(nowMs - (ticket.cooked_ms ?? nowMs)))} min here</span>;
  }
}

/** How far the cooking is, and whether somebody comes for it. */
function Progress({ ticket, nowMs }: Pick<Props, "ticket" | "nowMs">) {
  const rider = ticket.status === "assigned" ? "A rider is on the way" : "No rider yet";
  if (laneOf(ticket) === "new") {
    return <p className="aside">We reckon with {minutes(1000 * ticket.preparation_s)} minutes</p>;
  }
  const whole = Math.max(1, (ticket.ready_ms ?? 0) - ticket.placed_ms);
  const done = ticket.cooked_ms === null ? (nowMs - ticket.placed_ms) / whole : 1;
  return (
    <>
      <div className="gauge" aria-hidden="true">
        <i style={{ transform: `scaleX(${Math.min(1, Math.max(0, done))})` }} />
      </div>
      <p className={ticket.status === "assigned" ? "aside rider-comes" : "aside"}>{rider}</p>
    </>
  );
}

function Buttons({ ticket, nowMs, sign, busy, say }: Omit<Props, "timeZone"> & { sign: string }) {
  const order_id = ticket.order_id;
  switch (laneOf(ticket)) {
    case "new":
      return (
        <>
          <button disabled={busy} className="main" onClick={() => say({ type: "accept", order_id })}>
            Accept <span className="for">order {sign}</span>
          </button>
          <button disabled={busy} onClick={() => say({ type: "accept", order_id, seconds: ticket.preparation_s + LATER_S })}>
            + 5 min <span className="for">for order {sign}</span>
          </button>
          <button disabled={busy} className="bad" onClick={() => say({ type: "reject", order_id, reason: "too busy" })}>
            Reject <span className="for">order {sign}</span>
          </button>
        </>
      );
    case "cooking": {
      const left_s = Math.max(0, Math.round(((ticket.ready_ms ?? nowMs) - nowMs) / 1000));
      return (
        <>
          <button disabled={busy} className="main" onClick={() => say({ type: "ready", order_id })}>
            Ready <span className="for">order {sign}</span>
          </button>
          <button disabled={busy} onClick={() => say({ type: "ready_in", order_id, seconds: left_s + LATER_S })}>
            + 5 min <span className="for">for order {sign}</span>
          </button>
        </>
      );
    }
    default:
      return null;
  }
}

function urgency(ticket: Ticket, nowMs: number): string {
  const lane = laneOf(ticket);
  if (lane === "cooking" && ticket.ready_ms !== null && nowMs > ticket.ready_ms) return "late";
  if (lane === "counter" && ticket.cooked_ms !== null && nowMs - ticket.cooked_ms > 10 * 60_000) return "late";
  return "";
}
