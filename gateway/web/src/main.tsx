import "@fontsource-variable/inter";
import "maplibre-gl/dist/maplibre-gl.css";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { OpsPage } from "./ops/OpsPage";
import "./styles.css";
import { TrackPage } from "./track/TrackPage";

const track = /^\/track\/([^/]+)$/.exec(window.location.pathname);

createRoot(document.getElementById("root")!).render(
  <StrictMode>{track === null ? <OpsPage /> : <TrackPage orderId={track[1]!} />}</StrictMode>,
);
