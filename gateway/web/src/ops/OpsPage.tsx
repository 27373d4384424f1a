import { useEffect, useMemo, useRef, useState, useSyncExternalStore } from "react";
import { type City, type EdgeConfig, fetchCities, fetchConfig, tokenOf } from "../api";
import type { OpsFrame } from "../live/frames";
import { LiveSocket } from "../live/socket";
import { fetchRoads } from "../map/basemap";
import { shardColors } from "../map/palette";
import { Notice } from "../ui/Notice";
import { CityMap } from "./CityMap";
import { Feed } from "./feed";
import { Legend } from "./Legend";
import { Panel } from "./Panel";

type Ready = { config: EdgeConfig; cities: City[] };

/** The live map of everything, for operators and for the demo. */
export function OpsPage() {
  const token = useMemo(() => tokenOf(window.location.hash), []);
  const [ready, setReady] = useState<Ready | null>(null);
  const [failed, setFailed] = useState(false);

  useEffect(() => {
    let over = false;
    const load = async (): Promise<void> => {
      try {
        const [config, cities] = await Promise.all([fetchConfig(), fetchCities()]);
        if (!over) setReady({ config, cities });
        setFailed(false);
      } catch {
        setFailed(true);
        if (!over) window.setTimeout(() => void load(), 1500);
      }
    };
    void load();
    return () => {
      over = true;
    };
  }, []);

  if (token === "") {
    return (
      <Notice title="This page needs a token">
        Open the address that <code>forno demo</code> printed; it ends in <code>#token=…</code>. An operator's token comes
        from <code>forno token ops NAME</code>.
      </Notice>
    );
  }
  if (ready === null) {
    return (
      <Notice title={failed ? "The gateway does not answer" : "Loading the city"} busy>
        {failed ? "Trying again every moment." : "Fetching borders and streets."}
      </Notice>
    );
  }
  return <LiveMap token={token} {...ready} />;
}

function LiveMap({ token, config, cities }: Ready & { token: string }) {
  const container = useRef<HTMLDivElement>(null);
  const view = useRef<CityMap | null>(null);
  const [feed] = useState(() => new Feed());
  const figures = useSyncExternalStore(feed.subscribe, feed.now);
  const colors = useMemo(
    () => shardColors(figures.shards.map((shard) => shard.shard_id)),
    [figures.shards.map((shard) => shard.shard_id).join()],
  );

  useEffect(() => {
    let over = false;
    const frame = (news: OpsFrame): void => {
      feed.frame(news);
      if (news.type === "city") {
        view.current?.city(news);
        if (feed.heardAll()) view.current?.frameRiders();
      }
      if (news.type === "moves") view.current?.moves(news);
    };
    const socket = new LiveSocket<OpsFrame>({
      onFrame: frame,
      onLink: (link) => feed.linked(link),
      url: () => `${config.live_url}/v1/live/ops?token=${encodeURIComponent(token)}`,
    });
    void (async () => {
      const roads = config.basemap ? await fetchRoads().catch(() => null) : null;
      if (over || container.current === null) return;
      const map = new CityMap(
        container.current,
        cities,
        roads,
        () => feed.clock,
        (ages) => feed.drawn(ages),
      );
      view.current = map;
      feed.start();
      socket.open();
    })();
    return () => {
      over = true;
      socket.close();
      feed.stop();
      view.current?.remove();
      view.current = null;
    };
  }, [token, config, cities, feed]);

  useEffect(() => {
    view.current?.paint(new Map(figures.owners.map((owner) => [owner.city, owner.shard_id])), colors);
    container.current?.setAttribute("data-riders", String(view.current?.riders ?? 0));
  }, [figures, colors]);

  if (figures.link.kind === "refused") {
    return <Notice title="The gateway refused this token">{figures.link.reason}</Notice>;
  }
  return (
    <main className="ops">
      <div ref={container} className="map" role="application" aria-label="Live map of riders and orders" />
      <Panel figures={figures} cities={cities} colors={colors} onCity={(city) => view.current?.fly(city)} />
      <Legend />
    </main>
  );
}
