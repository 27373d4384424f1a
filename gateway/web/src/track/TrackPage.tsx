import { useEffect, useMemo, useRef, useState } from "react";
import { type City, type EdgeConfig, fetchCities, fetchConfig, tokenOf } from "../api";
import { domainOfWall, type ClockLine } from "../live/clock";
import type { OrderFrame } from "../live/frames";
import { isOver, type OrderView, reduce } from "../live/order";
import { type Link, LiveSocket } from "../live/socket";
import { fetchRoads, type Roads } from "../map/basemap";
import { LinkBadge } from "../ui/LinkBadge";
import { Logo } from "../ui/Logo";
import { Notice } from "../ui/Notice";
import { headline, stepsOf } from "./steps";
import { TrackMap } from "./TrackMap";

/** A domain time as the clocks of the order's city show it. */
type Time = (domainMs: number) => string;

/** The customer's page: where the food is, and when it comes. */
export function TrackPage({ orderId }: { orderId: string }) {
  const token = useMemo(() => tokenOf(window.location.hash), []);
  const [config, setConfig] = useState<EdgeConfig | null>(null);
  const [cities, setCities] = useState<City[]>([]);
  const [roads, setRoads] = useState<Roads | null | undefined>(undefined);
  const [link, setLink] = useState<Link>({ kind: "connecting" });
  const [view, setView] = useState<OrderView | null>(null);
  const seen = useRef<OrderView | null>(null);

  useEffect(() => {
    let over = false;
    const load = async (): Promise<void> => {
      try {
        const [found, known] = await Promise.all([fetchConfig(), fetchCities()]);
        if (over) return;
        setConfig(found);
        setCities(known);
        setRoads(found.basemap ? await fetchRoads().catch(() => null) : null);
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
    const socket = new LiveSocket<OrderFrame>({
      onFrame: (frame) => {
        seen.current = reduce(seen.current, frame);
        setView(seen.current);
      },
      onLink: setLink,
      url: () => {
        const since = seen.current === null ? "" : `&epoch=${seen.current.epoch}&seq=${seen.current.seq}`;
        return `${config.live_url}/v1/live/orders/${orderId}?token=${encodeURIComponent(token)}${since}`;
      },
    });
    socket.open();
    return () => socket.close();
  }, [config, token, orderId]);

  if (token === "") {
    return <Notice title="This link is not complete">Open the whole link from your order's confirmation.</Notice>;
  }
  if (link.kind === "refused") return <Refused code={link.code} />;
  if (view === null || roads === undefined) {
    return <Notice title="Looking for your order" busy />;
  }
  const timeZone = cities.find((city) => city.city === view.city)?.time_zone;
  const time = (domainMs: number): string =>
    new Date(domainMs).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", ...(timeZone && { timeZone }) });
  return (
    <main className="track">
      <TrackMap view={view} roads={roads} />
      <section className="card glass" aria-live="polite">
        <header>
          <Logo />
          <span className="from">{view.restaurant.name}</span>
          {link.kind !== "ended" && <LinkBadge link={link} />}
        </header>
        <h1>{headline(view.status)}</h1>
        {!isOver(view.status) && <Eta view={view} time={time} />}
        <Steps view={view} time={time} />
        <Whereabouts view={view} />
      </section>
    </main>
  );
}

function Refused({ code }: { code: number }) {
  if (code === 4404) return <Notice title="We do not know this order">The link may be mistyped.</Notice>;
  return <Notice title="This link does not work any more">Links to an order end some hours after its delivery.</Notice>;
}

function Eta({ view, time }: { view: OrderView; time: Time }) {
  const nowMs = useDomainNow(view.clock);
  const etaMs = view.etaMs ?? view.promisedMs;
  if (etaMs === null) return <p className="eta">We are working out when it comes.</p>;
  const minutes = Math.max(1, Math.round((etaMs - nowMs) / 60_000));
  return (
    <p className="eta">
      <b>{minutes}</b> min
      <span>
        around {time(etaMs)}
        {view.etaP90Ms !== null && view.etaP90Ms > etaMs && <>, nine times in ten by {time(view.etaP90Ms)}</>}
      </span>
    </p>
  );
}

function Steps({ view, time }: { view: OrderView; time: Time }) {
  return (
    <ol className="steps">
      {stepsOf(view.status, view.events).map((step) => (
        <li key={step.name} className={step.state} aria-current={step.state === "now" ? "step" : undefined}>
          <span>{step.name}</span>
          <time>{step.atMs === null ? "" : time(step.atMs)}</time>
        </li>
      ))}
    </ol>
  );
}

function Whereabouts({ view }: { view: OrderView }) {
  if (view.rider?.cell !== undefined) {
    return <p className="aside">You see your rider's neighbourhood now, and the rider once your food is picked up.</p>;
  }
  const before = view.stops.find((stop) => stop.kind === "dropoff")?.stops_before ?? 0;
  if (view.status === "picked_up" && before > 0) {
    return <p className="aside">{before === 1 ? "One stop" : `${before} stops`} before yours.</p>;
  }
  return null;
}

/** The city's time, every few seconds. */
function useDomainNow(clock: ClockLine): number {
  const [nowMs, setNowMs] = useState(() => domainOfWall(clock, Date.now()));
  useEffect(() => {
    const timer = window.setInterval(() => setNowMs(domainOfWall(clock, Date.now())), Math.max(500, 5000 / clock.speed));
    return () => window.clearInterval(timer);
  }, [clock]);
  return nowMs;
}
