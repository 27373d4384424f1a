// A picture of a page in a real Chromium: node gateway/web/screenshot.mjs URL OUT.png [--size 1280x800] [--settle S]
//
// Waits until the map is drawn and riders are on it, lets it run for some seconds, takes the picture. Fails (exit 1) if
// the page asked anything of any other host, or wrote an error to the console. With --axe it also fails if axe-core finds
// anything that keeps people out. CHROMIUM names another browser.
import { existsSync, readFileSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname } from "node:path";
import { parseArgs } from "node:util";
import { chromium } from "playwright-core";

const BROWSERS = [
  process.env["CHROMIUM"],
  "/usr/bin/chromium",
  "/usr/bin/chromium-browser",
  "/usr/bin/google-chrome",
  "/snap/bin/chromium",
];
const ARGS = [
  "--no-sandbox",
  "--use-angle=swiftshader",
  "--enable-unsafe-swiftshader",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-default-apps",
  "--disable-sync",
  "--no-first-run",
  "--force-color-profile=srgb",
];
const DEADLINE_MS = 60_000;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    size: { type: "string", default: "1280x800" },
    settle: { type: "string", default: "8" },
    scale: { type: "string", default: "1" },
    axe: { type: "boolean", default: false },
  },
});
const [url, out] = positionals;
if (url === undefined || out === undefined) {
  console.error("usage: node gateway/web/screenshot.mjs URL OUT.png [--size 1280x800] [--settle S] [--scale N] [--axe]");
  process.exit(2);
}
const executablePath = BROWSERS.find((path) => path !== undefined && existsSync(path));
if (executablePath === undefined) {
  console.error("no Chromium found: install one (apt-get install chromium) or set CHROMIUM");
  process.exit(2);
}

const [width, height] = values.size.split("x").map(Number);
const home = new URL(url).hostname;
const foreign = [];
const errors = [];
const noteForeign = (address) => {
  const { protocol, hostname } = new URL(address);
  if (/^(https?|wss?):$/.test(protocol) && hostname !== home) foreign.push(address);
};

const browser = await chromium.launch({ executablePath, args: ARGS });
try {
  const page = await browser.newPage({ viewport: { width, height }, deviceScaleFactor: Number(values.scale) });
  page.on("request", (request) => noteForeign(request.url()));
  page.on("websocket", (socket) => noteForeign(socket.url()));
  page.on("console", (message) => message.type() === "error" && errors.push(message.text()));
  page.on("pageerror", (error) => errors.push(String(error)));
  await page.goto(url, { waitUntil: "domcontentloaded", timeout: DEADLINE_MS });
  await page.waitForFunction(ridersAreShown, undefined, { timeout: DEADLINE_MS, polling: 250 });
  await page.waitForTimeout(Number(values.settle) * 1000);
  await mkdir(dirname(out), { recursive: true });
  await page.screenshot({ path: out });
  if (values.axe) {
    await page.evaluate(readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8"));
    const { violations } = await page.evaluate(() => globalThis.axe.run());
    for (const { id, help, nodes } of violations) errors.push(`axe ${id}: ${help}: ${nodes[0].html}`);
  }
} finally {
  await browser.close();
}

for (const address of foreign) console.error(`asked another host: ${address}`);
for (const error of errors) console.error(`error: ${error}`);
if (foreign.length + errors.length > 0) process.exit(1);
console.log(`${out}: ${width}x${height}, no request to another host, no console error`);

// Runs in the page. The live map says how many riders it shows; the customer's map is ready when it is drawn; the screen
// of a restaurant when it has its board.
function ridersAreShown() {
  if (document.querySelector(".kitchen[data-ready=true]") !== null) return true;
  const map = document.querySelector(".map");
  if (map === null || map.dataset.ready !== "true") return false;
  return map.dataset.rider !== undefined || Number(map.dataset.riders ?? 0) > 0;
}
