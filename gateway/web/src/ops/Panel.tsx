import type { City } from "../api";
import type { CityOwner } from "../live/frames";
import { shardColor } from "../map/palette";
import { LinkBadge } from "../ui/LinkBadge";
import { Logo } from "../ui/Logo";
import type { Figures } from "./feed";
import { Spark } from "./Spark";

interface PanelProps {
  figures: Figures;
  cities: readonly City[];
  colors: Map<string, string>;
  onCity(city: City): void;
}

/** The figures beside the map. */
export function Panel({ figures, cities, colors, onCity }: PanelProps) {
  const all = [...figures.cities.values()];
  const sum = (pick: (counters: (typeof all)[number]["counters"]) => number): number =>
    all.reduce((total, city) => total + pick(city.counters), 0);
  const worst = (pick: (counters: (typeof all)[number]["counters"]) => number): number | null =>
    all.length === 0 ? null : Math.max(...all.map((city) => pick(city.counters)));
  const online = sum((counters) => counters.riders_online);
  const busy = all.reduce((total, city) => total + city.busy, 0);
  const fix = figures.fixToScreen;

  return (
    <section className="panel glass" aria-label="Figures">
      <header>
        <Logo />
        <h1>Forno</h1>
        <LinkBadge link={figures.link} />
      </header>

      <div className="figures">
        <Figure name="Riders" value={count(online)} note={online > 0 ? `${Math.round((busy / online) * 100)}% busy` : ""} />
        <Figure name="Open orders" value={count(sum((counters) => counters.orders_open))} note="" />
        <Figure name="Delivered" value={count(sum((counters) => counters.orders_delivered))} note="" />
      </div>

      <div className="latency">
        <div>
          <h2>Fix to screen</h2>
          <p className="big">
            {fix === null ? "–" : ms(fix.p50)}
            <span>p50</span>
          </p>
          <p className="small">
            {fix === null ? "–" : ms(fix.p99)} <span>p99</span>
          </p>
          {figures.fixToSocketMs !== null && (
            <p className="small" title="The median on the way to the gateway's socket">
              {ms(figures.fixToSocketMs)} <span>to the socket</span>
            </p>
          )}
        </div>
        <Spark values={figures.trace} />
        <div>
          <h2>Dispatch tick</h2>
          <p className="big">
            {ms(worst((counters) => counters.tick_p50_ms))}
            <span>p50</span>
          </p>
          <p className="small">
            {ms(worst((counters) => counters.tick_p99_ms))} <span>p99</span>
          </p>
        </div>
      </div>

      <table>
        <thead>
          <tr>
            <th scope="col">City</th>
            <th scope="col">Shard</th>
            <th scope="col" title="Epoch: grows with each change of owner">
              Epoch
            </th>
            <th scope="col">Riders</th>
            <th scope="col">Open</th>
          </tr>
        </thead>
        <tbody>
          {cities.map((city) => {
            const owner = figures.owners.find((row) => row.city === city.city);
            const shown = figures.cities.get(city.city);
            return (
              <tr key={city.city}>
                <th scope="row">
                  <button type="button" onClick={() => onCity(city)}>
                    {city.name}
                  </button>
                </th>
                <td>
                  <i style={{ background: shardColor(colors, owner?.shard_id ?? null) }} />
                  {ownerText(owner)}
                </td>
                <td>{owner?.epoch ?? shown?.epoch ?? "–"}</td>
                <td>{shown === undefined ? "–" : count(shown.counters.riders_online)}</td>
                <td>{shown === undefined ? "–" : count(shown.counters.orders_open)}</td>
              </tr>
            );
          })}
        </tbody>
      </table>
      {figures.speed !== 1 && <p className="speed">The city's clock runs {figures.speed} times as fast as yours.</p>}
    </section>
  );
}

function Figure({ name, value, note }: { name: string; value: string; note: string }) {
  return (
    <div className="figure">
      <h2>{name}</h2>
      <p>{value}</p>
      <small>{note}</small>
    </div>
  );
}

function ownerText(owner: CityOwner | undefined): string {
  if (owner?.moving_to) return `→ ${owner.moving_to}`;
  return owner?.shard_id ?? "none";
}

function count(value: number): string {
  return value.toLocaleString("en");
}

function ms(value: number | null): string {
  if (value === null) return "–";
  if (value >= 10_000) return `${Math.round(value / 1000)} s`;
  return `${value < 10 ? value.toFixed(1) : Math.round(value)} ms`;
}
