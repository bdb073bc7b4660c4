// The page: reads a dashboard, asks Prometheus, lays the panels out as Grafana does. When all is drawn it leaves what
// it has to say in window.outcome.
import {
  createFieldConfigRegistry, createTheme, dateMath, dateTime, displayNameOverrideProcessor, type DataFrame, FieldType, type FieldConfigSource,
  applyFieldOverrides, booleanOverrideProcessor, cacheFieldDisplayNames, dataLinksOverrideProcessor, identityOverrideProcessor, locationUtil,
  numberOverrideProcessor, rangeUtil, standardFieldConfigEditorRegistry, standardTransformers, standardTransformersRegistry,
  stringOverrideProcessor, ThemeContext, thresholdsOverrideProcessor, transformDataFrame, unitOverrideProcessor,
  valueMappingsOverrideProcessor,
} from "@grafana/data";
import { initPluginTranslations } from "@grafana/i18n";
import { GlobalStyles, PanelChrome } from "@grafana/ui";
import { Component, type ReactNode } from "react";
import { createRoot } from "react-dom/client";
import { lastValueFrom } from "rxjs";

import { annotations, interpolate, query, readVariables, stepOf, type Context, type Mark } from "./data";
import { DEFAULTS, PANELS, type PanelProps } from "./panels";

interface Outcome {
  errors: string[];
  empty: string[];
  height: number;
}

const parameters = new URLSearchParams(location.search);
const theme = createTheme({ colors: { mode: parameters.get("theme") === "light" ? "light" : "dark" } });
const WIDTH = document.documentElement.clientWidth - 32;
const [CELL, GAP] = [30, 8];

// ---- Registries, which Grafana's server fills

const item = (id: string, process: any) =>
  ({ id, path: id, name: id, process, shouldApply: () => true, override: () => null, editor: () => null, settings: {} }) as any;

standardFieldConfigEditorRegistry.setInit(() => [
  item("unit", unitOverrideProcessor), item("min", numberOverrideProcessor), item("max", numberOverrideProcessor),
  item("fieldMinMax", booleanOverrideProcessor), item("decimals", numberOverrideProcessor),
  item("displayName", displayNameOverrideProcessor), item("noValue", stringOverrideProcessor),
  item("thresholds", thresholdsOverrideProcessor), item("mappings", valueMappingsOverrideProcessor),
  item("links", dataLinksOverrideProcessor), item("actions", dataLinksOverrideProcessor),
  item("color", identityOverrideProcessor), item("filterable", booleanOverrideProcessor),
  item("description", stringOverrideProcessor),
]);
standardTransformersRegistry.setInit(() =>
  Object.values(standardTransformers)
    .filter((each, index, all) => all.findIndex((other) => other.id === each.id) === index)
    .map((each) => ({ id: each.id, name: each.name, transformation: async () => each, editor: () => null }) as any),
);

// ---- A panel's data

async function load(context: Context, panel: any, marks: Mark[]): Promise<Loaded> {
  const problem = (what: string) => context.errors.push(`panel “${panel.title}” (${panel.type}): ${what}`);
  const width = Math.floor((WIDTH / 24) * panel.gridPos.w);
  const plugin = DEFAULTS[panel.type];
  if (!plugin) {
    problem("this type of panel is not known here");
    return { panel, title: panel.title };
  }
  try {
    if (panel.repeat) throw new Error("repeated panels are not known here");
    const targets = (panel.targets ?? []).filter((target: any) => !target.hide);
    const tables = targets.filter((target: any) => target.format === "table").length;
    const own: Context = panel.timeFrom
      ? { ...context, range: rangeUtil.convertRawToRange({ from: `now-${panel.timeFrom}`, to: "now" }) }
      : context;
    const frames: DataFrame[] = [];
    for (const target of targets) {
      if (!["prometheus", undefined].includes((target.datasource ?? panel.datasource)?.type)) throw new Error("not a Prometheus query");
      const minimum = interpolate(own, target.interval || panel.interval || "");
      const step = stepOf(own, panel.maxDataPoints ?? width, minimum || undefined);
      frames.push(...(await query(own, target, step, tables > 1 ? `Value #${target.refId}` : "Value")));
    }
    for (const { id } of panel.transformations ?? []) {
      if (!standardTransformersRegistry.getIfExists(id)) throw new Error(`transformation ${id} is not known here`);
    }
    let strict = true; // while links are checked; then they are only drawn
    const replace = (text: string, scoped?: any, format?: any) => {
      try {
        return interpolate(own, text, typeof format === "string" ? format : "text", undefined, scoped);
      } catch (error) {
        if (strict) throw error;
        return text;
      }
    };
    const transformed = await lastValueFrom(transformDataFrame(panel.transformations ?? [], frames, { interpolate: replace }));
    const { defaults = {}, overrides = [] } = panel.fieldConfig ?? {};
    const fieldConfig: FieldConfigSource = {
      defaults: { color: { mode: plugin.color }, ...defaults, custom: { ...plugin.custom, ...defaults.custom } },
      overrides,
    };
    // A threshold without value is the one below all.
    for (const config of [defaults, ...overrides.flatMap(({ properties }: any) => properties.map(({ value }: any) => ({ thresholds: value })))]) {
      for (const step of config?.thresholds?.steps ?? []) step.value ??= -Infinity;
    }
    const custom = new Set([
      ...Object.keys(fieldConfig.defaults.custom ?? {}),
      ...overrides.flatMap(({ properties }: any) => properties.map(({ id }: any) => id).filter((id: string) => id.startsWith("custom.")).map((id: string) => id.slice(7))),
    ]);
    const registry = createFieldConfigRegistry(
      { useCustomConfig: (builder) => custom.forEach((id) => builder.addCustomEditor(item(id, identityOverrideProcessor))) }, panel.type,
    );
    for (const { properties } of overrides) {
      for (const { id } of properties) if (!registry.getIfExists(id)) throw new Error(`override of ${id}, which is not known`);
    }
    const series = applyFieldOverrides({
      data: transformed, fieldConfig, fieldConfigRegistry: registry, replaceVariables: replace, theme, timeZone: "browser",
    });
    cacheFieldDisplayNames(series);
    try {
      checkLinks(series);
    } catch (error) {
      problem((error as Error).message);
    }
    strict = false;
    const { options } = panel;
    const props: Omit<PanelProps, "width" | "height"> = {
      frames: series, fieldConfig, range: own.range, timeZone: "browser", marks, replace,
      options: { ...plugin.options, ...options, legend: { ...(plugin.options as any).legend, ...options?.legend } },
    };
    const empty = targets.length > 0 && series.every((frame) => frame.length === 0);
    return { panel, title: interpolate(own, panel.title ?? "", "text"), description: panel.description, props, empty };
  } catch (error) {
    problem((error as Error).message);
    return { panel, title: panel.title };
  }
}

interface Loaded {
  panel: any;
  title: string;
  description?: string;
  props?: Omit<PanelProps, "width" | "height">;
  empty?: boolean;
}

let dashboards: any[] = [];

// Links to dashboards of this folder must name variables that these have.
function checkLinks(frames: DataFrame[]): void {
  for (const field of frames.flatMap((frame) => frame.fields)) {
    if (!field.config.links?.length || field.type === FieldType.time || field.values.length === 0) continue;
    for (const { href } of field.getLinks!({ valueRowIndex: 0 })) {
      const [, uid, search] = href.match(/^\/d\/([^/?]+)[^?]*\??(.*)$/) ?? [];
      if (!uid) continue;
      const dashboard = dashboards.find((each) => each.uid === uid);
      if (!dashboard) throw new Error(`a link of ${field.name} goes to ${uid}, which is not there: ${href}`);
      for (const [key] of new URLSearchParams(search)) {
        const known = !key.startsWith("var-") || dashboard.templating.list.some(({ name }: any) => key === `var-${name}`);
        if (!known) throw new Error(`a link of ${field.name} sets ${key}, which ${uid} does not have`);
      }
    }
  }
}

// ---- The page

class Guard extends Component<{ children: ReactNode; failed: (error: Error) => void }, { error?: Error }> {
  state: { error?: Error } = {};
  static getDerivedStateFromError = (error: Error) => ({ error });
  componentDidCatch(error: Error) {
    this.props.failed(error);
  }
  render() {
    return this.state.error ? <pre>{this.state.error.message}</pre> : this.props.children;
  }
}

function Panel({ loaded, context }: { loaded: Loaded; context: Context }) {
  const { panel, title, description, props } = loaded;
  const { x, y, w, h } = panel.gridPos;
  const column = (WIDTH + GAP) / 24;
  const [width, height] = [Math.round(column * w - GAP), h * (CELL + GAP) - GAP];
  const style = { position: "absolute", left: Math.round(x * column), top: y * (CELL + GAP), width, height } as const;
  if (panel.type === "row") {
    return <h3 style={{ ...style, margin: 0, fontSize: 16, fontWeight: 500, lineHeight: `${height}px` }}>⌄&ensp;{title}</h3>;
  }
  const Plugin = PANELS[panel.type];
  return (
    <div style={style}>
      <PanelChrome title={title} description={description} width={width} height={height} displayMode={panel.transparent ? "transparent" : "default"}>
        {(width, height) =>
          props && (
            <Guard failed={(error) => context.errors.push(`panel “${title}” (${panel.type}): ${error.message}`)}>
              {panel.type === "table" || !loaded.empty || panel.type === "stat"
                ? <Plugin {...props} width={width} height={height} />
                : <Plugin {...props} frames={[]} width={width} height={height} />}
            </Guard>
          )
        }
      </PanelChrome>
    </div>
  );
}

function Dashboard({ dashboard, loaded, context }: { dashboard: any; loaded: Loaded[]; context: Context }) {
  const { colors, shape } = theme;
  const height = Math.max(...dashboard.panels.map(({ gridPos }: any) => (gridPos.y + gridPos.h) * (CELL + GAP)));
  const box = { border: `1px solid ${colors.border.medium}`, borderRadius: shape.radius.default, padding: "0 8px", background: colors.background.primary };
  const others = (dashboard.links ?? []).filter(({ type }: any) => type === "dashboards").flatMap(({ tags }: any) =>
    dashboards.filter((each) => tags.every((tag: string) => each.tags.includes(tag))));
  return (
    <div style={{ padding: "0 16px 16px" }}>
      <div style={{ display: "flex", justifyContent: "space-between", alignItems: "center", lineHeight: "48px", fontSize: 14 }}>
        <span style={{ fontSize: 16, fontWeight: 500 }}>{dashboard.title}</span>
        <span style={{ ...box, lineHeight: "30px" }}>◷&ensp;{rangeUtil.describeTimeRange(context.range.raw)}</span>
      </div>
      <div style={{ display: "flex", flexWrap: "wrap", gap: 8, marginBottom: 16, lineHeight: "30px", fontSize: 12 }}>
        {context.variables.filter(({ hidden }) => !hidden).map((variable) => (
          <span key={variable.name} style={{ display: "flex" }}>
            <b style={{ ...box, fontWeight: 500, background: colors.background.secondary }}>{variable.label}</b>
            <span style={{ ...box, borderLeft: 0, minWidth: 64 }}>
              {interpolate(context, `\${${variable.name}:text}`)}
              <span style={{ float: "right", paddingLeft: 12 }}>⌄</span>
            </span>
          </span>
        ))}
        {dashboard.templating.list.filter(({ type }: any) => type === "adhoc").map(({ name, label }: any) => (
          <span key={name} style={{ display: "flex" }}>
            <b style={{ ...box, fontWeight: 500, background: colors.background.secondary }}>{label || name}</b>
            <span style={{ ...box, borderLeft: 0, color: colors.text.secondary }}>Filter by label values</span>
          </span>
        ))}
        <span style={{ flexGrow: 1 }} />
        {others.map(({ uid, title }: any) => <span key={uid} style={{ ...box, background: colors.secondary.main }}>↗ {title}</span>)}
      </div>
      <div style={{ position: "relative", height }}>
        {loaded.map((each) => <Panel key={each.panel.id} loaded={each} context={context} />)}
      </div>
    </div>
  );
}

// Until nothing has changed for a while.
async function quiet(root: Element): Promise<void> {
  let last = performance.now();
  const observer = new MutationObserver(() => (last = performance.now()));
  observer.observe(root, { subtree: true, childList: true, attributes: true });
  for (const end = last + 15000; performance.now() < Math.min(end, last + 400); ) {
    await new Promise((resolve) => requestAnimationFrame(resolve));
  }
  observer.disconnect();
}

async function main(): Promise<Outcome> {
  await initPluginTranslations("grafana");
  locationUtil.initialize({ config: { appSubUrl: "" } as any, getVariablesUrlParams: () => ({}), getTimeRangeForUrl: () => ({}) as any });
  dashboards = await (await fetch("/dashboards")).json();
  const dashboard = dashboards[Number(parameters.get("dashboard"))];
  const raw = { from: parameters.get("from") ?? dashboard.time.from, to: parameters.get("to") ?? dashboard.time.to };
  const range = { from: dateTime(dateMath.parse(raw.from)!), to: dateTime(dateMath.parse(raw.to, true)!), raw };
  const context: Context = { range, variables: [], errors: [], scrapeInterval: parameters.get("scrape_interval") ?? "15s" };
  await readVariables(context, dashboard.templating.list, parameters);
  for (const key of parameters.keys()) {
    // The same choice may serve several dashboards; at least one must have it.
    const known = !key.startsWith("var-") || dashboards.some(({ templating }) => templating.list.some(({ name }: any) => `var-${name}` === key));
    if (!known) context.errors.push(`no dashboard has the variable of ${key}`);
  }
  // What rows hide is drawn as well.
  dashboard.panels = dashboard.panels.flatMap((panel: any) => [panel, ...(panel.panels ?? [])]);
  const marks = await annotations(context, dashboard.annotations?.list ?? []);
  const loaded: Loaded[] = await Promise.all(dashboard.panels.map((panel: any) => load(context, panel, marks)));
  document.body.style.background = theme.colors.background.canvas;
  await document.fonts.load("14px Inter");
  await document.fonts.load("500 14px Inter");
  const root = document.getElementById("root")!;
  createRoot(root).render(
    <ThemeContext.Provider value={theme}>
      <GlobalStyles />
      <Dashboard dashboard={dashboard} loaded={loaded} context={context} />
    </ThemeContext.Provider>,
  );
  await quiet(root);
  await document.fonts.ready;
  await quiet(root);
  const empty = loaded.filter((each) => each.empty).map(({ title }) => title);
  return { errors: context.errors, empty, height: root.scrollHeight };
}

(window as any).outcome = main();
