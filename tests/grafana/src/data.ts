// What Grafana does between a dashboard's JSON and its panels: variables, queries and the frames they become.
import {
  DataFrameType, FieldType, type DataFrame, type Field, rangeUtil, type ScopedVars, type TimeRange,
} from "@grafana/data";

export interface Variable {
  name: string;
  label: string;
  type: string;
  hidden: boolean;
  multi: boolean;
  includeAll: boolean;
  allValue?: string;
  options: string[];
  value: string[]; // ["$__all"] for All
}

export interface Context {
  range: TimeRange;
  variables: Variable[];
  scrapeInterval: string; // of the data source: its least step
  errors: string[];
}

export interface Step {
  interval: number; // milliseconds
  rateInterval: number;
}

async function api(path: string, parameters: Record<string, string | number>): Promise<any> {
  const form = new URLSearchParams(Object.entries(parameters).map(([key, value]) => [key, String(value)]));
  const response = await fetch(`/prometheus/api/v1/${path}?${form}`);
  const answer = await response.json().catch(() => ({ error: `status ${response.status}` }));
  if (answer.status !== "success") throw new Error(`${answer.error}, for ${parameters.query ?? path}`);
  return answer.data;
}

const seconds = (time: { valueOf(): number }) => time.valueOf() / 1000;

export function duration(text: string): number {
  return rangeUtil.intervalToMs(text.replace(/^[<>]/, ""));
}

// The step of a query, as the Prometheus data source chooses it.
export function stepOf(context: Context, width: number, minimum?: string): Step {
  const scrape = duration(minimum || context.scrapeInterval);
  const interval = rangeUtil.calculateInterval(context.range, width, `${scrape}ms`).intervalMs;
  const safe = Math.ceil((context.range.to.valueOf() - context.range.from.valueOf()) / 11000);
  return { interval: Math.max(interval, safe), rateInterval: Math.max(interval + scrape, 4 * scrape) };
}

// ---- Variables

const escapeRegex = (text: string) => text.replace(/[\\^$*+?.()|[\]{}]/g, "\\$&");
// The same inside a string of PromQL.
const escapeTwice = (text: string) => escapeRegex(text).replace(/\\/g, "\\\\");

function formatted(variable: Variable, format: string | undefined): string {
  const all = variable.value[0] === "$__all";
  const values = all ? variable.options : variable.value;
  switch (format) {
    case "text":
      return all ? "All" : variable.value.join(" + ");
    case "queryparam":
      return variable.value.map((value) => `var-${variable.name}=${encodeURIComponent(value)}`).join("&");
    case "percentencode":
      return encodeURIComponent(values.length > 1 ? `{${values.join(",")}}` : (values[0] ?? ""));
    case "raw":
    case "csv":
      return all && variable.allValue ? variable.allValue : values.join(",");
    case "pipe":
      return values.join("|");
    case "regex":
      return values.map(escapeRegex).join("|");
    case undefined: // the data source's own
      if (all && variable.allValue) return variable.allValue;
      if (!variable.multi && !variable.includeAll) return (values[0] ?? "").replace(/\\/g, "\\\\").replace(/'/g, "\\\\'");
      return values.length === 1 ? escapeTwice(values[0]) : `(${values.map(escapeTwice).join("|")})`;
    default:
      throw new Error(`variable format ${format} is not known`);
  }
}

// ${__data.fields.x}, ${__field.labels.x}, ${__value.raw} of a data link.
function fromData(name: string, path: string | undefined, data: any): unknown {
  if (name === "__data") {
    const [, wanted, what] = path?.match(/^fields(?:\[["']?(.*?)["']?\]|\.([^.]+))(?:\.(\w+))?$/)?? [];
    const field = data.frame.fields[Number(wanted ?? NaN)] ?? data.frame.fields.find((each: Field) => [each.name, each.state?.displayName].includes(wanted ?? what));
    if (!field) throw new Error(`a link asks for the field ${wanted ?? what}, which is not there`);
    return data.rowIndex === undefined ? "" : field.values[data.rowIndex];
  }
  if (name === "__field") {
    if (path?.startsWith("labels.")) {
      const label = data.field.labels?.[path.slice(7)];
      if (label === undefined) throw new Error(`a link asks for the label ${path.slice(7)}, which is not there`);
      return label;
    }
    return data.field.state?.displayName ?? data.field.name;
  }
  return data.calculatedValue?.numeric ?? data.field.values[data.rowIndex ?? 0];
}

const REFERENCE = /\$(\w+)|\[\[(\w+?)(?::(\w+))?\]\]|\$\{(\w+)(?:\.([^:^}]+))?(?::([^}]+))?\}/g;

export function interpolate(context: Context, text: string, format?: string, step?: Step, scoped?: ScopedVars): string {
  const { from, to } = context.range;
  const span = to.valueOf() - from.valueOf();
  const builtIn: Record<string, string> = {
    __from: String(from.valueOf()),
    __to: String(to.valueOf()),
    __range: `${Math.round(span / 1000)}s`,
    __range_s: String(Math.round(span / 1000)),
    __range_ms: String(span),
    __url_time_range: `from=${from.valueOf()}&to=${to.valueOf()}`,
    __all_variables: context.variables.map((variable) => formatted(variable, "queryparam")).join("&"),
  };
  if (step) {
    builtIn.__interval = rangeUtil.secondsToHms(step.interval / 1000).replace(/ /g, "");
    builtIn.__interval_ms = String(step.interval);
    builtIn.__rate_interval = `${step.rateInterval / 1000}s`;
    builtIn.__rate_interval_ms = String(step.rateInterval);
  }
  return text.replace(REFERENCE, (whole, plain, square, squareFormat, curly, path, curlyFormat) => {
    const name = plain ?? square ?? curly;
    const wanted = squareFormat ?? curlyFormat ?? format;
    if (name in builtIn) return builtIn[name];
    const data = scoped?.__dataContext?.value;
    if (data && ["__data", "__field", "__value"].includes(name)) {
      const value = String(fromData(name, path, data) ?? "");
      return wanted === "percentencode" ? encodeURIComponent(value) : value;
    }
    const variable = context.variables.find((each) => each.name === name);
    if (variable) return formatted(variable, wanted);
    if (curly) throw new Error(`nothing is known as ${whole}`);
    return whole; // a $ for itself, as at the end of a regular expression
  });
}

const ORDERS: ((a: string, b: string) => number)[] = [
  () => 0,
  (a, b) => (a < b ? -1 : Number(a > b)),
  (a, b) => (a > b ? -1 : Number(a < b)),
  (a, b) => parseFloat(a.match(/\d+/)?.[0] ?? "-1") - parseFloat(b.match(/\d+/)?.[0] ?? "-1"),
  (a, b) => parseFloat(b.match(/\d+/)?.[0] ?? "-1") - parseFloat(a.match(/\d+/)?.[0] ?? "-1"),
];

async function optionsOf(context: Context, model: any): Promise<string[]> {
  if (model.type === "datasource") return ["Prometheus"];
  if (model.type === "custom" || model.type === "interval") return model.query.split(/\s*,\s*/);
  if (model.type === "constant" || model.type === "textbox") return [model.query];
  if (model.type !== "query") throw new Error(`type ${model.type} is not known`);
  const query = interpolate(context, model.query.query ?? model.query).trim();
  const parts = query.match(/^label_values\((?:(.*),\s*)?(\w+)\)$/s);
  if (!parts) throw new Error(`only label_values is known, not ${query}`);
  const { from, to } = context.range;
  const span = { start: seconds(from), end: seconds(to) };
  let values: string[] = await api(`label/${parts[2]}/values`, { ...span, ...(parts[1] ? { "match[]": parts[1] } : {}) });
  if (model.regex) {
    const regex = new RegExp(model.regex.replace(/^\/|\/$/g, ""));
    values = values.map((value) => value.match(regex)).flatMap((match) => (match ? [match[1] ?? match[0]] : []));
  }
  return values.sort(ORDERS[model.sort ?? 0]);
}

// Fills context.variables, each with what is chosen, or All, or what the dashboard has stored, or the first.
export async function readVariables(context: Context, models: any[], chosen: URLSearchParams): Promise<void> {
  for (const model of models) {
    if (model.type === "adhoc") continue;
    try {
      const options = await optionsOf(context, model);
      let value = chosen.getAll(`var-${model.name}`).map((each) => (each === "All" ? "$__all" : each));
      const stored = [model.current?.value ?? []].flat().filter((each: string) => each === "$__all" || options.includes(each));
      if (value.length === 0) value = model.includeAll ? ["$__all"] : stored.length > 0 ? stored : options.slice(0, 1);
      const { name, type, multi, includeAll, allValue } = model;
      context.variables.push({
        name, type, multi: !!multi, includeAll: !!includeAll, allValue, options, value,
        label: model.label || name, hidden: model.hide === 2,
      });
    } catch (error) {
      throw new Error(`variable ${model.name}: ${(error as Error).message}`);
    }
  }
}

// ---- Queries

type Series = { metric: Record<string, string>; values?: [number, string][]; value?: [number, string] };

const number = (text: string) => (text === "+Inf" ? Infinity : text === "-Inf" ? -Infinity : Number(text));

function legend(target: any, labels: Record<string, string>): string | undefined {
  if (target.legendFormat === "__auto") return Object.keys(labels).length > 0 ? undefined : target.expr;
  const { __name__, ...others } = labels;
  if (!target.legendFormat) {
    const pairs = Object.entries(others).map(([key, value]) => `${key}="${value}"`);
    return pairs.length === 0 && __name__ ? __name__ : `${__name__ ?? ""}{${pairs.join(", ")}}`;
  }
  return target.legendFormat.replace(/\{\{\s*(.+?)\s*\}\}/g, (_: string, name: string) => labels[name] ?? "");
}

const field = (name: string, type: FieldType, values: unknown[], more: Partial<Field> = {}): Field =>
  ({ name, type, values, config: {}, ...more }) as Field;

function seriesFrame(target: any, { metric, values, value }: Series, interval?: number): DataFrame {
  const samples = values ?? [value!];
  const { __name__, ...labels } = metric;
  return {
    refId: target.refId,
    length: samples.length,
    meta: { type: DataFrameType.TimeSeriesMulti, executedQueryString: target.expr },
    fields: [
      field("Time", FieldType.time, samples.map((sample) => sample[0] * 1000), { config: interval ? { interval } : {} }),
      field("Value", FieldType.number, samples.map((sample) => number(sample[1])), {
        labels: metric.__name__ ? { __name__, ...labels } : labels,
        config: { displayNameFromDS: legend(target, metric) },
      }),
    ],
  };
}

// All series of a query as one table.
function tableFrame(target: any, series: Series[], valueName: string): DataFrame {
  const names = [...new Set(series.flatMap(({ metric }) => Object.keys(metric).sort()))];
  const samples = series.flatMap(({ metric, values, value }) => (values ?? [value!]).map((sample) => ({ metric, sample })));
  const labels = names.map((name) => {
    const values = samples.map(({ metric }) => metric[name] ?? "");
    return name === "le"
      ? field(name, FieldType.number, values.map(number))
      : field(name, FieldType.string, values, { config: { filterable: true } });
  });
  return {
    refId: target.refId,
    length: samples.length,
    meta: { preferredVisualisationType: "table", executedQueryString: target.expr } as DataFrame["meta"],
    fields: [
      field("Time", FieldType.time, samples.map(({ sample }) => sample[0] * 1000)),
      ...labels,
      field(valueName, FieldType.number, samples.map(({ sample }) => number(sample[1]))),
    ],
  };
}

// Cumulative buckets as rows of a heat map: a field for each, less the one below it.
function heatmapFrame(target: any, series: Series[], interval: number): DataFrame {
  const sorted = [...series].sort((a, b) => number(a.metric.le) - number(b.metric.le));
  const times = [...new Set(series.flatMap(({ values }) => (values ?? []).map(([time]) => time)))].sort((a, b) => a - b);
  let below = new Map<number, number>();
  const rows = sorted.map(({ metric, values }) => {
    const own = new Map((values ?? []).map(([time, value]) => [time, number(value)]));
    const counts = times.map((time) => (own.has(time) ? Math.max(0, own.get(time)! - (below.get(time) ?? 0)) : null));
    below = own;
    return field(legend(target, metric) ?? metric.le, FieldType.number, counts, { labels: metric });
  });
  return {
    refId: target.refId,
    length: times.length,
    meta: { type: DataFrameType.HeatmapRows, executedQueryString: target.expr },
    fields: [field("Time", FieldType.time, times.map((time) => time * 1000), { config: { interval } }), ...rows],
  };
}

export async function query(context: Context, target: any, step: Step, valueName: string): Promise<DataFrame[]> {
  const expr = interpolate(context, target.expr, undefined, step);
  const { from, to } = context.range;
  const results: { series: Series[]; interval?: number }[] = [];
  if (target.instant) {
    const { result, resultType } = await api("query", { query: expr, time: seconds(to) });
    const series = resultType === "scalar" ? [{ metric: {}, value: result }] : result;
    results.push({ series });
  }
  if (target.range || !target.instant) {
    const width = step.interval / 1000;
    const start = Math.floor(seconds(from) / width) * width;
    const end = Math.floor(seconds(to) / width) * width;
    const { result } = await api("query_range", { query: expr, start, end, step: width });
    results.push({ series: result, interval: step.interval });
  }
  const described = { ...target, expr };
  return results.flatMap(({ series, interval }) => {
    if (series.some((each: any) => each.histogram || each.histograms)) throw new Error("native histograms are not known here");
    if (target.format === "table") return [tableFrame(described, series, valueName)];
    if (series.length === 0) return [];
    if (target.format === "heatmap") return [heatmapFrame(described, series, interval ?? 0)];
    return series.map((each) => seriesFrame(described, each, interval));
  });
}

export interface Mark {
  time: number;
  end: number;
  color: string;
  text: string;
}

// The annotations of a dashboard: what is not 0, neighbours as one region.
export async function annotations(context: Context, models: any[]): Promise<Mark[]> {
  const marks: Mark[] = [];
  for (const model of models) {
    if (!model.enable || model.datasource?.type !== "prometheus") continue;
    try {
      const target = { refId: "Anno", ...model.target, expr: model.target?.expr ?? model.expr, format: "time_series" };
      const step = stepOf(context, 2000, interpolate(context, model.step || target.interval || "60s"));
      for (const frame of await query(context, { ...target, range: true, instant: false }, step, "Value")) {
        const labels = frame.fields[1].labels ?? {};
        const text = (model.titleFormat || model.name).replace(/\{\{\s*(.+?)\s*\}\}/g, (_: string, name: string) => labels[name] ?? "");
        let last: Mark | undefined;
        frame.fields[0].values.forEach((time: number, index: number) => {
          if (!frame.fields[1].values[index]) return;
          if (last && time - last.end <= step.interval) last.end = time;
          else marks.push((last = { time, end: time, color: model.iconColor, text }));
        });
      }
    } catch (error) {
      context.errors.push(`annotation ${model.name}: ${(error as Error).message}`);
    }
  }
  return marks;
}
