import "@fontsource-variable/inter";
import "maplibre-gl/dist/maplibre-gl.css";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { KitchenPage } from "./kitchen/KitchenPage";
import { OpsPage } from "./ops/OpsPage";
import "./styles.css";
import { TrackPage } from "./track/TrackPage";

const track = /^\/track\/([^/]+)$/.exec(window.location.pathname);
const kitchen = /^\/kitchen\/([^/]+)$/.exec(window.location.pathname);

function Page() {
  if (track !== null) return <TrackPage orderId={track[1]!} />;
  if (kitchen !== null) return <KitchenPage restaurantId={decodeURIComponent(kitchen[1]!)} />;
  return <OpsPage />;
}

createRoot(document.getElementById("root")!).render(
  <StrictMode>
    <Page />
  </StrictMode>,
);
