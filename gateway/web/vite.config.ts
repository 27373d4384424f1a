import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

// `npm run dev` serves the pages and asks a running gateway for the rest: FORNO_GATEWAY_URL, http://127.0.0.1:8080.
const gateway = process.env["FORNO_GATEWAY_URL"] ?? "http://127.0.0.1:8080";

export default defineConfig({
  plugins: [react()],
  build: { target: "es2022", assetsInlineLimit: 0, chunkSizeWarningLimit: 1500, modulePreload: { polyfill: false } },
  server: { proxy: { "/v1": gateway, "/basemap": gateway } },
});
