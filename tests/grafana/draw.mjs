// Draws dashboards in Chromium: node draw.mjs PROMETHEUS_URL OUT_DIR OPTIONS DASHBOARD.json...
// OPTIONS are those of run.sh, as a query string.
import { spawn } from "node:child_process";
import fs from "node:fs";
import http from "node:http";
import os from "node:os";
import path from "node:path";
import esbuild from "esbuild";

const [prometheus, out, options, ...files] = process.argv.slice(2);
const parameters = new URLSearchParams(options);
const width = Number(parameters.get("width") ?? 1600);
const here = path.dirname(new URL(import.meta.url).pathname);
const modules = path.join(here, "node_modules");

const bundle = await esbuild.build({
  entryPoints: [path.join(here, "src/page.tsx")],
  bundle: true, write: false, outdir: "/", format: "esm", jsx: "automatic", minifySyntax: true, loader: { ".svg": "dataurl", ".ttf": "empty" },
  define: { "process.env.NODE_ENV": '"production"', "process.env": "{}", global: "window" }, logLevel: "error",
  external: ["fs", "path"],
});

// ---- The server: the page, Grafana's icons and fonts, and Prometheus

const PAGE = `<!doctype html><meta charset="utf-8"><base href="/"><link rel="stylesheet" href="/page.css"><div id="root"></div>
<script>window.__grafana_public_path__ = "/public/";</script><script type="module" src="/page.js"></script>`;
const TYPES = { ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml", ".woff2": "font/woff2" };

const server = http.createServer(async (request, response) => {
  const url = new URL(request.url, "http://localhost");
  const send = (type, body, status = 200) => response.writeHead(status, { "content-type": type }).end(body);
  try {
    if (url.pathname === "/") return send("text/html", PAGE);
    if (url.pathname === "/dashboards") {
      return send("application/json", `[${files.map((file) => fs.readFileSync(file, "utf8")).join()}]`);
    }
    if (url.pathname.startsWith("/prometheus/")) {
      const answer = await fetch(prometheus.replace(/\/$/, "") + request.url.slice("/prometheus".length));
      return send("application/json", await answer.text(), answer.status);
    }
    const type = TYPES[path.extname(url.pathname)];
    const bundled = bundle.outputFiles.find((file) => file.path === url.pathname);
    if (bundled) return send(type, bundled.contents);
    if (url.pathname.includes("/fonts/inter/")) {
      return send(type, fs.readFileSync(path.join(modules, "@fontsource-variable/inter/files/inter-latin-wght-normal.woff2")));
    }
    const icon = url.pathname.match(/\/(img\/icons\/.*)$/);
    if (icon) return send(type, fs.readFileSync(path.join(modules, "@grafana/ui/dist/public", icon[1])));
    send("text/plain", "not here", 404);
  } catch (error) {
    send("application/json", JSON.stringify({ status: "error", error: error.cause?.message ?? error.message }), 500);
  }
});
await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));

// ---- Chromium, spoken to through a pipe

const profile = fs.mkdtempSync(path.join(os.tmpdir(), "grafana-"));
const chromium = spawn(
  "chromium",
  ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage", "--hide-scrollbars", `--user-data-dir=${profile}`,
    "--remote-debugging-pipe", "about:blank"],
  { stdio: ["ignore", "ignore", "ignore", "pipe", "pipe"] },
);
const waiting = new Map();
const complaints = [];
let count = 0;
let rest = "";
chromium.stdio[4].setEncoding("utf8").on("data", (data) => {
  const messages = (rest + data).split("\0");
  rest = messages.pop();
  for (const { id, result, error, method, params } of messages.map((message) => JSON.parse(message))) {
    if (id) waiting.get(id)(error ? Promise.reject(new Error(error.message)) : result);
    else if (method === "Runtime.exceptionThrown") complaints.push(params.exceptionDetails.exception?.description ?? params.exceptionDetails.text);
    else if (method === "Runtime.consoleAPICalled" && params.type === "error") {
      complaints.push(params.args.map((each) => each.value ?? each.description).join(" "));
    }
  }
});
const dead = new Promise((_, reject) => {
  chromium.on("error", reject);
  chromium.on("exit", (code) => reject(new Error(`chromium ended with ${code}`)));
});
dead.catch(() => {});
function call(method, params = {}, sessionId = undefined) {
  chromium.stdio[3].write(`${JSON.stringify({ id: ++count, method, params, sessionId })}\0`);
  const id = count;
  return Promise.race([dead, new Promise((resolve) => waiting.set(id, resolve))]);
}

async function draw(number, name) {
  const { targetId } = await call("Target.createTarget", { url: "about:blank" });
  const { sessionId } = await call("Target.attachToTarget", { targetId, flatten: true });
  const session = (method, params) => call(method, params, sessionId);
  await session("Runtime.enable");
  // High enough for every dashboard: tables draw only what is in sight.
  await session("Emulation.setDeviceMetricsOverride", { width, height: 8000, deviceScaleFactor: 1, mobile: false });
  const query = new URLSearchParams(parameters);
  query.set("dashboard", number);
  await session("Page.enable");
  await session("Page.navigate", { url: `http://127.0.0.1:${server.address().port}/?${query}` });
  const end = Date.now() + 60000;
  for (;;) {
    const { result } = await session("Runtime.evaluate", { expression: "document.readyState + (window.outcome ? 1 : '')" });
    if (result.value === "complete1") break;
    if (complaints.length > 0) throw new Error(complaints.join("\n"));
    if (Date.now() > end) throw new Error(`${name}: the page does not load`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  const { result, exceptionDetails } = await session("Runtime.evaluate", { expression: "window.outcome", awaitPromise: true, returnByValue: true });
  if (exceptionDetails) throw new Error(`${name}: ${(exceptionDetails.exception?.description ?? exceptionDetails.text).replace(/\n    at .*/gs, "")}`);
  const { errors, empty, height } = result.value;
  const clip = { x: 0, y: 0, width, height, scale: 1 };
  const { data } = await session("Page.captureScreenshot", { format: "png", clip, captureBeyondViewport: true });
  const file = path.join(out, `${name}.png`);
  fs.writeFileSync(file, Buffer.from(data, "base64"));
  console.log(`${file}: ${width} × ${height}`);
  for (const title of empty) console.log(`${name}: no data in “${title}”`);
  await call("Target.closeTarget", { targetId });
  return [...errors, ...complaints.splice(0)].map((error) => `${name}: ${error}`);
}

let failed = false;
try {
  for (const [number, file] of files.entries()) {
    for (const error of await draw(number, path.basename(file, ".json"))) {
      failed = true;
      console.error(error);
    }
  }
} catch (error) {
  failed = true;
  console.error(error.message);
}
await Promise.race([call("Browser.close"), dead]).catch(() => {});
await dead.catch(() => {});
await fs.promises.rm(profile, { recursive: true, force: true, maxRetries: 20 });
server.close();
server.closeAllConnections();
process.exitCode = failed ? 1 : 0;
