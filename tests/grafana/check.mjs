// Holds dashboards against Grafana's types: node check.mjs FOLDER DASHBOARD.json...
// Each becomes a literal of its type, for only literals are refused for fields that the type does not have.
import { execFileSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";

const [folder, ...files] = process.argv.slice(2);
const here = path.dirname(new URL(import.meta.url).pathname);

// A check that finds nothing wrong is worth what it finds in what is wrong: these changes to a right dashboard.
const panel = (type, options, custom) => ({
  id: 1, type, title: "Title", gridPos: { x: 0, y: 0, w: 12, h: 8 }, options,
  datasource: { type: "prometheus", uid: "${datasource}" },
  fieldConfig: { defaults: { unit: "s", ...(custom && { custom }) }, overrides: [] },
  targets: [{ refId: "A", datasource: { type: "prometheus", uid: "${datasource}" }, expr: "up", range: true }],
});
const SAMPLE = {
  uid: "sample", title: "Sample", schemaVersion: 42,
  annotations: { list: [] },
  templating: { list: [{ name: "datasource", type: "datasource", query: "prometheus" }] },
  panels: [panel("stat", { colorMode: "value" }), panel("timeseries", {}, { lineWidth: 1 })],
};
const override = (property) => (dashboard) =>
  dashboard.panels[1].fieldConfig.overrides.push({ matcher: { id: "byName", options: "x" }, properties: [property] });
const WRONG = {
  schemaVersion: (d) => (d.schemaVersion = "42"),
  "panel type": (d) => (d.panels[0].type = "graph"),
  "missing position": (d) => delete d.panels[0].gridPos.w,
  option: (d) => (d.panels[0].options.colourMode = "value"),
  "option's value": (d) => (d.panels[0].options.colorMode = "rainbow"),
  "custom field": (d) => (d.panels[1].fieldConfig.defaults.custom.lineWith = 1),
  threshold: (d) => (d.panels[0].fieldConfig.defaults.thresholds = [1, 2]),
  override: override({ id: "decimals", value: "two" }),
  "override of another panel type": override({ id: "custom.cellOptions", value: { type: "auto" } }),
  query: (d) => (d.panels[1].targets[0].format = "graph"),
  variable: (d) => (d.templating.list[0].type = "querry"),
};

fs.rmSync(folder, { recursive: true, force: true });
fs.mkdirSync(folder, { recursive: true });

function write(name, dashboard) {
  const literal = JSON.stringify(dashboard, null, 2);
  const type = path.relative(folder, path.join(here, "src/schema"));
  fs.writeFileSync(
    path.join(folder, `${name}.ts`),
    `import type { Dashboard } from ${JSON.stringify(`./${type}`)};\nexport const dashboard: Dashboard = ${literal};\n`,
  );
}

const names = files.map((file) => path.basename(file, ".json"));
files.forEach((file, number) => write(names[number], JSON.parse(fs.readFileSync(file, "utf8"))));
write("sample", SAMPLE);
Object.values(WRONG).forEach((spoil, number) => {
  const copy = structuredClone(SAMPLE);
  spoil(copy);
  write(`wrong${number}`, copy);
});

let output = "";
try {
  const options = { noEmit: true, strict: true, skipLibCheck: true, module: "esnext", moduleResolution: "bundler", types: [] };
  fs.writeFileSync(path.join(folder, "tsconfig.json"), JSON.stringify({ compilerOptions: { target: "es2022", ...options } }));
  const tsc = path.join(here, "node_modules/typescript/bin/tsc");
  execFileSync(process.execPath, [tsc, "--project", folder], { cwd: folder, encoding: "utf8", stdio: "pipe" });
} catch (error) {
  output = error.stdout || String(error.stderr || error);
}

// The compiler names a line of the literal; show that line.
const complaints = [];
for (const line of output.split("\n")) {
  const place = line.match(/^(.*?)([^/]+)\.ts\((\d+),\d+\)/);
  if (!place) {
    if (complaints.length) complaints.at(-1).text.push(line);
    else if (line) complaints.push({ name: "", text: [line] });
    continue;
  }
  const source = fs.readFileSync(path.resolve(folder, `${place[1]}${place[2]}.ts`), "utf8").split("\n");
  complaints.push({ name: place[2], text: [`${place[2]}.json: at ${source[place[3] - 1].trim()}`, line.replace(/^.*?: /, "  ")] });
}
let failed = false;
for (const { name, text } of complaints.filter((complaint) => !complaint.name.startsWith("wrong"))) {
  failed = true;
  console.error(text.join("\n").trimEnd());
}
Object.keys(WRONG).forEach((what, number) => {
  if (complaints.some((complaint) => complaint.name === `wrong${number}`)) return;
  failed = true;
  console.error(`the types let pass a wrong ${what}`);
});
if (failed) process.exit(1);
console.log(`${names.join(", ")}: as Grafana's types have it`);
