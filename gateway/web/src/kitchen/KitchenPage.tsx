import { useCallback, useEffect, useMemo, useRef, useState } from "react";
import { type City, type EdgeConfig, fetchCities, fetchConfig, tokenOf } from "../api";
import { type ClockLine, domainOfWall } from "../live/clock";
import { type Link, LiveSocket } from "../live/socket";
import { LinkBadge } from "../ui/LinkBadge";
import { Logo } from "../ui/Logo";
import { Notice } from "../ui/Notice";
import { type Board, type KitchenFrame, laneTickets, type Pace, reduce } from "./board";
import { type Command, Commands } from "./commands";
import "./kitchen.css";
import { TicketCard } from "./TicketCard";

/** The restaurant's screen: what to cook, when it must be ready, what waits for its rider. */
export function KitchenPage({ restaurantId }: { restaurantId: string }) {
  const token = useMemo(() => tokenOf(window.location.hash), []);
  const [config, setConfig] = useState<EdgeConfig | null>(null);
  const [cities, setCities] = useState<City[]>([]);
  const [link, setLink] = useState<Link>({ kind: "connecting" });
  const [board, setBoard] = useState<Board | null>(null);
  const [trouble, setTrouble] = useState("");
  const [, redraw] = useState(0);
  const seen = useRef<Board | null>(null);
  const socket = useRef<LiveSocket<KitchenFrame> | null>(null);
  const commands = useMemo(() => new Commands((text) => socket.current?.send(text) ?? false), []);

  useEffect(() => {
    let over = false;
    const load = async (): Promise<void> => {
      try {
        const [found, known] = await Promise.all([fetchConfig(), fetchCities()]);
        if (over) return;
        setConfig(found);
        setCities(known);
      } catch {
        if (!over) window.setTimeout(() => void load(), 1500);
      }
    };
    void load();
    return () => {
      over = true;
    };
  }, []);

  useEffect(() => {
    if (config === null || token === "") return;
    const live = new LiveSocket<KitchenFrame>({
      onFrame: (frame) => {
        if (frame.type === "snapshot" || frame.type === "resumed") commands.again();
        if (frame.type === "done" || frame.type === "refused") commands.answered(frame.id);
        if (frame.type === "refused") setTrouble(frame.message);
        seen.current = reduce(seen.current, frame);
        setBoard(seen.current);
        redraw((count) => count + 1);
      },
      onLink: setLink,
      url: () => {
        const since = seen.current === null ? "" : `&epoch=${seen.current.epoch}&seq=${seen.current.seq}`;
        const path = `/v1/live/kitchens/${encodeURIComponent(restaurantId)}`;
        return `${config.live_url}${path}?token=${encodeURIComponent(token)}${since}`;
      },
    });
    socket.current = live;
    live.open();
    return () => live.close();
  }, [config, token, restaurantId, commands]);

  const say = useCallback(
    (command: Command) => {
      setTrouble("");
      commands.say(command);
      redraw((count) => count + 1);
    },
    [commands],
  );

  if (token === "") {
    return <Notice title="This link is not complete">Open the whole link that came with your contract.</Notice>;
  }
  if (link.kind === "refused") {
    return <Notice title="This link does not open this kitchen">Ask for a new one: links end after a while.</Notice>;
  }
  if (board === null) return <Notice title="Opening the kitchen" busy />;
  const city = cities.find((known) => known.city === board.city);
  const busy = (orderId: string): boolean => commands.busy(orderId);
  return (
    <main className="kitchen" data-ready="true">
      <header>
        <Logo />
        <h1>{board.name || restaurantId}</h1>
        <span className="dim">{city?.name ?? board.city}</span>
        <span className="gap" />
        <PaceLine pace={board.pace} />
        <label className="switch">
          <input
            type="checkbox"
            role="switch"
            checked={board.autoAccept}
            onChange={(event) => say({ type: "auto_accept", on: event.target.checked })}
          />
          Take every order
        </label>
        <LinkBadge link={link} />
      </header>
      {(trouble !== "" || board.away) && (
        <p className="trouble" role="alert">
          {board.away ? "The orders service does not answer: this is as of a moment ago." : trouble}
        </p>
      )}
      <Lanes board={board} timeZone={city?.time_zone} busy={busy} say={say} />
    </main>
  );
}

const LANES = [
  { lane: "new", name: "New", empty: "No order waits for your answer." },
  { lane: "cooking", name: "In the oven", empty: "Nothing is cooking." },
  { lane: "counter", name: "On the counter", empty: "Nothing waits for a rider." },
] as const;

function Lanes(props: {
  board: Board;
  timeZone: string | undefined;
  busy: (orderId: string) => boolean;
  say: (command: Command) => void;
}) {
  const nowMs = useDomainNow(props.board.clock);
  return (
    <div className="lanes">
      {LANES.map(({ lane, name, empty }) => {
        const tickets = laneTickets(props.board, lane);
        return (
          <section key={lane} className={lane} aria-label={name}>
            <h2>
              {name} <b>{tickets.length}</b>
            </h2>
            {tickets.length === 0 && <p className="empty">{empty}</p>}
            <ul>
              {tickets.map((ticket) => (
                <TicketCard
                  key={ticket.order_id}
                  ticket={ticket}
                  nowMs={nowMs}
                  timeZone={props.timeZone}
                  busy={props.busy(ticket.order_id)}
                  say={props.say}
                />
              ))}
            </ul>
          </section>
        );
      })}
    </div>
  );
}

/** What was learned: how long this kitchen takes against what it says. */
function PaceLine({ pace }: { pace: Pace }) {
  if (pace.samples === 0) return <span className="dim">Press Ready, and your times are learned</span>;
  const per = (ratio: number): string => `${ratio >= 1 ? "+" : "−"}${Math.abs(Math.round((ratio - 1) * 100))}%`;
  const title = `Learned from ${pace.samples} orders, ${pace.samples_hour} of this hour of the day`;
  return (
    <span className="pace" title={title}>
      <b>{per(pace.median)}</b> on your times, nine in ten within <b>{per(pace.p90)}</b>
    </span>
  );
}

/** The city's time, often enough for a minute to change when it does. */
function useDomainNow(clock: ClockLine): number {
  const [nowMs, setNowMs] = useState(() => domainOfWall(clock, Date.now()));
  useEffect(() => {
    const every = Math.max(250, 1000 / clock.speed);
    const timer = window.setInterval(() => setNowMs(domainOfWall(clock, Date.now())), every);
    return () => window.clearInterval(timer);
  }, [clock]);
  return nowMs;
}
