// The panels. What @grafana/ui has is drawn by it; the plugins of the others are part of Grafana's server, so time
// line, heat map and gauge are drawn here, from the same options.
import {
  FieldType, type DataFrame, type Field, type FieldConfigSource, formattedValueToString, getDisplayValueAlignmentFactors,
  getFieldDisplayName, getFieldDisplayValues, getValueFormat, type GrafanaTheme2, renderTextPanelMarkdown, type TimeRange,
  VizOrientation,
} from "@grafana/data";
import {
  AxisPlacement, BarGaugeDisplayMode, BarGaugeSizing, ScaleDirection, ScaleOrientation, VisibilityMode,
} from "@grafana/schema";
import {
  BarGauge, BigValue, TimeSeries, UPlotChart, UPlotConfigBuilder, useTheme2, VizLayout, VizLegend, VizRepeater,
} from "@grafana/ui";
import { TableNG } from "@grafana/ui/unstable";
import * as chromatic from "d3-scale-chromatic";
import { useLayoutEffect } from "react";
import type uPlot from "uplot";

import type { Mark } from "./data";

export interface PanelProps {
  frames: DataFrame[];
  options: any;
  fieldConfig: FieldConfigSource;
  range: TimeRange;
  timeZone: string;
  width: number;
  height: number;
  marks: Mark[];
  replace: (text: string) => string;
}

// ---- What the plugins fill in where the JSON says nothing

const GRAPH = {
  drawStyle: "line", lineInterpolation: "linear", lineWidth: 1, fillOpacity: 0, gradientMode: "none", showPoints: "auto",
  pointSize: 5, spanNulls: false, axisPlacement: "auto", axisColorMode: "text", scaleDistribution: { type: "linear" },
  stacking: { mode: "none", group: "A" }, hideFrom: { legend: false, tooltip: false, viz: false },
  thresholdsStyle: { mode: "off" }, barAlignment: 0,
};
const LEGEND = { displayMode: "list", placement: "bottom", showLegend: true, calcs: [] };
const REDUCE = { reduceOptions: { values: false, calcs: ["lastNotNull"], fields: "" }, orientation: "auto", text: {} };

export const DEFAULTS: Record<string, { options: object; color: string; custom: object }> = {
  bargauge: {
    options: {
      ...REDUCE, displayMode: "gradient", valueMode: "color", namePlacement: "auto", showUnfilled: true, sizing: "auto",
      minVizWidth: 8, minVizHeight: 16, maxVizHeight: 300,
    },
    color: "thresholds",
    custom: {},
  },
  gauge: { options: { ...REDUCE, sizing: "auto", minVizWidth: 75, minVizHeight: 75 }, color: "thresholds", custom: {} },
  heatmap: {
    options: {
      color: { mode: "scheme", scheme: "Oranges", fill: "dark-orange", exponent: 0.5, scale: "exponential", steps: 64 },
      cellGap: 1, legend: { show: true }, yAxis: { axisPlacement: "left" }, filterValues: { le: 1e-9 },
    },
    color: "palette-classic",
    custom: {},
  },
  row: { options: {}, color: "thresholds", custom: {} },
  stat: {
    options: {
      ...REDUCE, graphMode: "area", colorMode: "value", justifyMode: "auto", textMode: "auto", wideLayout: true,
      showPercentChange: false, percentChangeColorMode: "standard",
    },
    color: "thresholds",
    custom: {},
  },
  "state-timeline": {
    options: { showValue: "auto", mergeValues: true, rowHeight: 0.9, alignValue: "left", legend: LEGEND },
    color: "continuous-GrYlRd",
    custom: { lineWidth: 0, fillOpacity: 70, spanNulls: false, insertNulls: false },
  },
  table: {
    options: { frameIndex: 0, showHeader: true, cellHeight: "sm", sortBy: [] },
    color: "thresholds",
    custom: { align: "auto", cellOptions: { type: "auto" }, inspect: false },
  },
  text: { options: { mode: "markdown", content: "" }, color: "thresholds", custom: {} },
  timeseries: { options: { legend: LEGEND }, color: "palette-classic", custom: GRAPH },
};

// ---- Parts

function NoData({ fieldConfig, width, height }: PanelProps) {
  const style = { width, height, display: "flex", alignItems: "center", justifyContent: "center", textAlign: "center" };
  const color = useTheme2().colors.text.secondary;
  return <div style={{ ...style, color } as React.CSSProperties}>{fieldConfig.defaults.noValue ?? "No data"}</div>;
}

const values = (frames: DataFrame[]) =>
  frames.flatMap((frame) => frame.fields.map((field) => ({ frame, field }))).filter(({ field }) => field.type !== FieldType.time);

// Annotations as Grafana draws them: a dashed line, and a foot below the plot.
function Marks({ builder, marks }: { builder: UPlotConfigBuilder; marks: Mark[] }) {
  const theme = useTheme2();
  useLayoutEffect(() => {
    builder.addHook("draw", (u: uPlot) => {
      const { ctx, bbox } = u;
      ctx.save();
      for (const mark of marks) {
        const [from, to] = [mark.time, mark.end].map((time) => Math.round(u.valToPos(time, "x", true)));
        if (to < bbox.left || from > bbox.left + bbox.width) continue;
        ctx.fillStyle = ctx.strokeStyle = theme.visualization.getColorByName(mark.color);
        ctx.lineWidth = 2;
        ctx.setLineDash([5, 5]);
        for (const x of from === to ? [from] : [from, to]) {
          ctx.beginPath();
          ctx.moveTo(x, bbox.top);
          ctx.lineTo(x, bbox.top + bbox.height);
          ctx.stroke();
        }
        ctx.globalAlpha = 0.1;
        ctx.fillRect(from, bbox.top, to - from, bbox.height);
        ctx.globalAlpha = 1;
        ctx.fillRect(from - 4, bbox.top + bbox.height, Math.max(8, to - from), 5);
      }
      ctx.restore();
    });
  }, [builder, marks, theme]);
  return null;
}

// A plot over time with rows below each other, and its own drawing. labelsBetween is the label below the lowest row, if
// labels stand at the upper edges of the rows and not in their middle.
function rowsPlot(
  { range, timeZone }: PanelProps, theme: GrafanaTheme2, labels: string[], upwards: boolean, placement: AxisPlacement,
  labelsBetween: string | undefined, draw: (u: uPlot) => void,
): UPlotConfigBuilder {
  const builder = new UPlotConfigBuilder(timeZone);
  const splits = labelsBetween ? [0, ...labels.map((_, index) => index + 1)] : labels.map((_, index) => index + 0.5);
  builder.addScale({
    scaleKey: "x", isTime: true, orientation: ScaleOrientation.Horizontal, direction: ScaleDirection.Right,
    range: () => [range.from.valueOf(), range.to.valueOf()],
  });
  builder.addScale({
    scaleKey: "y", isTime: false, orientation: ScaleOrientation.Vertical,
    direction: upwards ? ScaleDirection.Up : ScaleDirection.Down, range: () => [0, labels.length],
  });
  builder.addAxis({ scaleKey: "x", isTime: true, placement: AxisPlacement.Bottom, timeZone, theme, grid: { show: true } });
  builder.addAxis({
    scaleKey: "y", isTime: false, placement, theme, grid: { show: false }, ticks: { show: false }, gap: 10,
    splits: (u) => {
      // As many labels as there is room for.
      const every = Math.max(1, Math.ceil((14 * labels.length) / (u.bbox.height / devicePixelRatio || 1)));
      return labelsBetween ? splits.filter((_, index) => index % every === 0) : splits;
    },
    values: (_, shown) => shown.map((split) => (split === 0 ? labelsBetween : labels[Math.ceil(split) - 1]) ?? ""),
  });
  builder.addSeries({ scaleKey: "y", pathBuilder: () => null, theme, show: true, pxAlign: false } as any);
  builder.addHook("drawAxes", draw);
  return builder;
}

// ---- Panels

function Stat(props: PanelProps) {
  const { frames, options, fieldConfig, timeZone, width, height, replace } = props;
  const theme = useTheme2();
  const getValues = () =>
    getFieldDisplayValues({
      fieldConfig, reduceOptions: options.reduceOptions, replaceVariables: replace, theme, data: frames, timeZone,
      sparkline: options.graphMode !== "none", percentChange: options.showPercentChange,
    });
  return (
    <VizRepeater
      getValues={getValues} getAlignmentFactors={getDisplayValueAlignmentFactors as any} width={width} height={height}
      source={frames} itemSpacing={3} renderCounter={0} autoGrid orientation={options.orientation}
      renderValue={({ value, alignmentFactors, width, height, count }: any) => (
        <BigValue
          value={value.display} count={count} sparkline={value.sparkline} alignmentFactors={alignmentFactors} width={width}
          height={height} theme={theme} colorMode={options.colorMode} graphMode={options.graphMode} text={options.text}
          justifyMode={options.justifyMode} textMode={options.textMode} disableWideLayout={!options.wideLayout}
          percentChangeColorMode={options.percentChangeColorMode}
        />
      )}
    />
  );
}

function Bars({ frames, options, fieldConfig, timeZone, width, height, replace }: PanelProps) {
  const theme = useTheme2();
  const getValues = () =>
    getFieldDisplayValues({ fieldConfig, reduceOptions: options.reduceOptions, replaceVariables: replace, theme, data: frames, timeZone });
  const own = options.sizing === BarGaugeSizing.Manual;
  return (
    <VizRepeater
      getValues={getValues} getAlignmentFactors={getDisplayValueAlignmentFactors as any} width={width} height={height}
      source={frames} renderCounter={0} orientation={options.orientation}
      itemSpacing={options.displayMode === BarGaugeDisplayMode.Lcd ? 2 : 10} minVizWidth={own ? options.minVizWidth : 8}
      minVizHeight={own ? options.minVizHeight : 16} maxVizHeight={own ? options.maxVizHeight : 300}
      renderValue={({ value, alignmentFactors, orientation, width, height }: any) => (
        <BarGauge
          value={value.display} field={value.field} display={value.view?.getFieldDisplayProcessor(value.colIndex)}
          width={width} height={height} orientation={orientation} theme={theme} itemSpacing={10} lcdCellWidth={12}
          text={options.text} displayMode={options.displayMode} alignmentFactors={alignmentFactors}
          showUnfilled={options.showUnfilled} valueDisplayMode={options.valueMode} namePlacement={options.namePlacement}
        />
      )}
    />
  );
}

function Gauges({ frames, options, fieldConfig, timeZone, width, height, replace }: PanelProps) {
  const theme = useTheme2();
  const getValues = () =>
    getFieldDisplayValues({ fieldConfig, reduceOptions: options.reduceOptions, replaceVariables: replace, theme, data: frames, timeZone });
  const arc = (radius: number, share: number) => {
    const at = (angle: number) => `${100 + radius * Math.cos(angle)} ${100 + radius * Math.sin(angle)}`;
    const [start, sweep] = [(-7 / 6) * Math.PI, (4 / 3) * Math.PI * share];
    return `M ${at(start)} A ${radius} ${radius} 0 ${sweep > Math.PI ? 1 : 0} 1 ${at(start + sweep)}`;
  };
  return (
    <VizRepeater
      getValues={getValues} width={width} height={height} source={frames} renderCounter={0} autoGrid
      orientation={options.orientation === VizOrientation.Auto ? VizOrientation.Auto : options.orientation}
      renderValue={({ value: { display, field }, width, height }: any) => {
        const share = Math.min(1, Math.max(0, (display.numeric - (field.min ?? 0)) / ((field.max ?? 100) - (field.min ?? 0))));
        return (
          <svg width={width} height={height} viewBox="0 0 200 185" fontFamily={theme.typography.fontFamily} textAnchor="middle">
            <path d={arc(85, 1)} fill="none" stroke={theme.colors.background.secondary} strokeWidth={22} />
            {share > 0 && <path d={arc(85, share)} fill="none" stroke={display.color} strokeWidth={22} />}
            <text x={100} y={115} fontSize={34} fill={display.color}>{formattedValueToString(display)}</text>
            <text x={100} y={175} fontSize={16} fill={theme.colors.text.primary}>{display.title}</text>
          </svg>
        );
      }}
    />
  );
}

function Table({ frames, options, fieldConfig, range, width, height, ...others }: PanelProps) {
  const frame = frames[options.frameIndex ?? 0] ?? frames[0];
  if (!frame || frame.fields.length === 0) {
    return <NoData {...{ frames, options, fieldConfig, range, width, height, ...others }} />;
  }
  return (
    <TableNG
      data={frame} width={width} height={height} noHeader={!options.showHeader} showTypeIcons={options.showTypeIcons}
      resizable sortBy={options.sortBy} enablePagination={options.enablePagination} pageSize={options.pageSize}
      cellHeight={options.cellHeight} maxRowHeight={options.maxRowHeight} timeRange={range} fieldConfig={fieldConfig}
      frozenColumns={options.frozenColumns?.left} noValue={fieldConfig.defaults.noValue} structureRev={1} transparent={false}
      enableVirtualization={false} getActions={() => []}
    />
  );
}

function Text({ options, replace }: PanelProps) {
  const content = replace(options.content);
  if (options.mode === "code") return <pre>{content}</pre>;
  const html = options.mode === "html" ? content : renderTextPanelMarkdown(content);
  return <div className="markdown-html" dangerouslySetInnerHTML={{ __html: html }} />;
}

function Graph(props: PanelProps) {
  const { frames, options, range, timeZone, width, height, marks } = props;
  // As Grafana's panel has it: what is no finite number is a gap.
  const finite = (field: Field) => ({ ...field, values: field.values.map((value) => (Number.isFinite(value) ? value : null)) });
  const shown = frames
    .map((frame) => ({
      ...frame,
      fields: frame.fields
        .filter(({ type }) => type === FieldType.time || type === FieldType.number)
        .map((field) => (field.type === FieldType.number ? finite(field) : field)),
    }))
    .filter((frame) => frame.fields.length > 1 && frame.fields[0].type === FieldType.time);
  if (shown.length === 0) return <NoData {...props} />;
  return (
    <TimeSeries
      frames={shown} structureRev={1} timeRange={range} timeZone={timeZone} width={width} height={height}
      legend={options.legend} options={options}
    >
      {(builder) => <Marks builder={builder} marks={marks} />}
    </TimeSeries>
  );
}

interface Block {
  from: number;
  to: number;
  text: string;
  color: string;
}

function thresholdItems(field: Field, theme: GrafanaTheme2): { label: string; color: string; from: number; yAxis: number }[] {
  const { thresholds, unit, decimals } = field.config;
  const format = getValueFormat(thresholds?.mode === "percentage" ? "percent" : (unit ?? ""));
  return (thresholds?.steps ?? []).map((step, index, steps) => {
    const below = step.value === -Infinity && index < steps.length - 1;
    const shown = formattedValueToString(format(below ? steps[index + 1].value : step.value, decimals ?? undefined));
    const color = theme.visualization.getColorByName(step.color);
    return { label: below ? `< ${shown}` : `${shown}+`, color, from: step.value, yAxis: 1 };
  });
}

// The states of a row: equal neighbours in one, none where there is no sample for longer than a step.
function blocks({ frame, field }: { frame: DataFrame; field: Field }, merge: boolean, to: number, theme: GrafanaTheme2): Block[] {
  const time = frame.fields.find(({ type }) => type === FieldType.time)!;
  const interval = time.config.interval ?? 0;
  const span = field.config.custom?.spanNulls;
  const least = span === true ? Infinity : Math.max(typeof span === "number" ? span : 0, 1.5 * interval);
  const steps = merge && field.config.color?.mode === "thresholds" ? thresholdItems(field, theme) : [];
  const result: (Block & { value: unknown })[] = [];
  time.values.forEach((from: number, index: number) => {
    let value = field.values[index];
    if (value === null || value === undefined) return;
    let { text, color = theme.colors.text.disabled } = { ...field.display!(value), text: formattedValueToString(field.display!(value)) };
    if (steps.length > 1) {
      // The plugin shows the thresholds, and no mappings, as soon as there is more than one.
      const step = steps.filter((each) => value >= each.from).at(-1);
      if (step) [value, text, color] = [step.label, step.label, step.color];
    }
    const next = time.values[index + 1] ?? to;
    const end = interval && next - from > least ? from + interval : next;
    const last = result.at(-1);
    if (merge && last && last.value === value && (from <= last.to || from - last.to <= least)) last.to = end;
    else result.push({ from, to: end, text, color, value });
  });
  return result;
}

function Timeline(props: PanelProps) {
  const { frames, options, width, height, range, marks } = props;
  const theme = useTheme2();
  const rows = values(frames).filter(({ frame }) => frame.fields.some(({ type }) => type === FieldType.time));
  if (rows.length === 0) return <NoData {...props} />;
  const pages = options.perPage ? rows.slice(0, options.perPage) : rows;
  const drawn = pages.map((row) => blocks(row, options.mergeValues !== false, range.to.valueOf(), theme));
  const labels = pages.map(({ frame, field }) => getFieldDisplayName(field, frame, frames));
  const draw = (u: uPlot) => {
    const { ctx, bbox } = u;
    const high = bbox.height / labels.length;
    ctx.save();
    ctx.beginPath();
    ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
    ctx.clip();
    ctx.font = `${12 * devicePixelRatio}px ${theme.typography.fontFamily}`;
    ctx.textBaseline = "middle";
    ctx.textAlign = options.alignValue === "center" ? "center" : options.alignValue === "right" ? "right" : "left";
    drawn.forEach((row, index) => {
      const { fillOpacity = 70, lineWidth = 0 } = pages[index].field.config.custom ?? {};
      const height = Math.round(high * options.rowHeight);
      const top = Math.round(bbox.top + index * high + (high - height) / 2);
      row.forEach((block) => {
        const left = Math.round(Math.max(bbox.left, u.valToPos(block.from, "x", true)));
        const right = Math.round(Math.min(bbox.left + bbox.width, u.valToPos(block.to, "x", true)));
        if (right <= bbox.left) return;
        ctx.fillStyle = ctx.strokeStyle = block.color;
        ctx.globalAlpha = fillOpacity / 100;
        ctx.fillRect(left, top, right - left, height);
        ctx.globalAlpha = 1;
        if (lineWidth > 0) {
          ctx.lineWidth = lineWidth;
          ctx.strokeRect(left, top, right - left, height);
        }
        const fits = ctx.measureText(block.text).width + 4 < right - left && height >= 12;
        if (options.showValue === VisibilityMode.Never || (options.showValue !== VisibilityMode.Always && !fits)) return;
        ctx.fillStyle = theme.colors.getContrastText(fillOpacity > 50 ? block.color : theme.colors.background.primary, 3);
        const x = ctx.textAlign === "center" ? (left + right) / 2 : ctx.textAlign === "right" ? right - 2 : left + 2;
        ctx.fillText(block.text, x, top + height / 2);
      });
    });
    ctx.restore();
  };
  const builder = rowsPlot(props, theme, labels, false, AxisPlacement.Left, undefined, draw);
  const { color, thresholds } = pages[0].field.config;
  let items = new Map(drawn.flat().map(({ text, color }) => [text, { label: text, color, yAxis: 1 }]));
  if (color?.mode === "thresholds" && (thresholds?.steps.length ?? 0) > 1) {
    items = new Map(thresholdItems(pages[0].field, theme).map((item) => [item.label, item]));
  }
  const { legend } = options;
  const shown = legend.showLegend && !color?.mode?.startsWith("continuous");
  return (
    <VizLayout
      width={width} height={height}
      legend={shown ? (
        <VizLayout.Legend placement={legend.placement}>
          <VizLegend placement={legend.placement} displayMode={legend.displayMode} items={[...items.values()]} readonly />
        </VizLayout.Legend>
      ) : null}
    >
      {(width, height) => (
        <UPlotChart config={builder} data={[[range.from.valueOf(), range.to.valueOf()], [0, 0]]} width={width} height={height}>
          <Marks builder={builder} marks={marks} />
        </UPlotChart>
      )}
    </VizLayout>
  );
}

// Which of the schemes are turned round, and in which theme.
const TURNED: Record<string, string> = Object.fromEntries([
  ..."BrBG PiYG PRGn PuOr RdBu RdGy RdYlBu RdYlGn Spectral Rainbow Sinebow".split(" ").map((name) => [name, "always"]),
  ..."Turbo Cividis Viridis Magma Inferno Plasma Warm Cool Cubehelix".split(" ").map((name) => [name, "light"]),
]);

function palette(color: any, theme: GrafanaTheme2): string[] {
  const shares = Array.from({ length: color.steps ?? 64 }, (_, index) => index / Math.max(1, (color.steps ?? 64) - 1));
  if (color.mode === "opacity") {
    const fill = theme.visualization.getColorByName(color.fill);
    const power = color.scale === "linear" ? 1 : color.exponent;
    return shares.map((share) => `color-mix(in srgb, ${fill} ${100 * share ** power}%, transparent)`);
  }
  const name = color.scheme === "Cubehelix" ? "CubehelixDefault" : color.scheme;
  const interpolate = (chromatic as any)[`interpolate${name}`];
  if (!interpolate) throw new Error(`colour scheme ${color.scheme} is not known`);
  const colors = shares.map((share) => interpolate(share) as string);
  const turned = TURNED[color.scheme] ?? "dark";
  return color.reverse || turned === "always" || turned === (theme.isDark ? "dark" : "light") ? colors.reverse() : colors;
}

function Heatmap(props: PanelProps) {
  const { frames, options, width, height, marks, range } = props;
  const theme = useTheme2();
  const frame = frames[0];
  if (options.calculate) throw new Error("a heat map that calculates its buckets is not known here");
  if (!frame || frame.length === 0) return <NoData {...props} />;
  const time = frame.fields.find(({ type }) => type === FieldType.time)!;
  const rows = frame.fields.filter(({ type }) => type === FieldType.number);
  const interval = time.config.interval ?? time.values[1] - time.values[0];
  const { le = -Infinity, ge = Infinity } = options.filterValues ?? {};
  const counts = rows.flatMap((row) => row.values).filter((value) => value !== null && value > le && value < ge);
  const colors = palette(options.color, theme);
  const least = options.color.min ?? Math.min(...counts);
  const most = options.color.max ?? Math.max(...counts);
  const format = getValueFormat(options.yAxis.unit ?? "short");
  const labels = rows.map((row) => {
    const name = row.config.displayNameFromDS ?? row.name;
    return Number.isNaN(Number(name)) ? name : formattedValueToString(format(Number(name), options.yAxis.decimals));
  });
  // The colour of a count; the exponent of a scheme is not used, as in the plugin.
  const colorOf = (count: number) => {
    const share = most > least ? (count - least) / (most - least) : 1;
    return colors[Math.min(colors.length - 1, Math.max(0, Math.floor(share * colors.length)))];
  };
  const draw = (u: uPlot) => {
    const { ctx, bbox } = u;
    ctx.save();
    ctx.beginPath();
    ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
    ctx.clip();
    const gap = (options.cellGap ?? 1) * devicePixelRatio;
    rows.forEach((row, index) => {
      const [y1, y0] = [u.valToPos(index, "y", true), u.valToPos(index + 1, "y", true)];
      row.values.forEach((count, column) => {
        if (count === null || count <= le || count >= ge) return;
        // A sample counts what came before it.
        const [x0, x1] = [time.values[column] - interval, time.values[column]].map((each) => u.valToPos(each, "x", true));
        ctx.fillStyle = colorOf(count);
        const top = Math.min(y0, y1);
        ctx.fillRect(Math.round(x0), Math.round(top), Math.max(1, Math.round(x1 - x0 - gap)), Math.max(1, Math.abs(y1 - y0) - gap));
      });
    });
    ctx.restore();
  };
  const upper = rows.some((row) => row.labels?.le !== undefined) && options.rowsFrame?.layout !== "unknown";
  const placement = options.yAxis.axisPlacement === "right" ? AxisPlacement.Right : AxisPlacement.Left;
  const builder = rowsPlot(props, theme, labels, !options.yAxis.reverse, placement, upper ? formattedValueToString(format(0, options.yAxis.decimals)) : undefined, draw);
  const { unit, decimals } = options.cellValues ?? {};
  const ownFormat = unit || decimals !== undefined ? getValueFormat(unit || rows[0].config.unit) : undefined;
  const value = (count: number) => formattedValueToString(ownFormat ? ownFormat(count, decimals) : rows[0].display!(count));
  return (
    <VizLayout
      width={width} height={height}
      legend={options.legend.show && counts.length > 0 ? (
        <VizLayout.Legend placement="bottom">
          <div style={{ display: "flex", gap: 8, alignItems: "center", fontSize: 12, padding: "0 8px" }}>
            <span>{value(least)}</span>
            <div style={{ width: 300, height: 8, background: `linear-gradient(90deg, ${colors.join(", ")})` }} />
            <span>{value(most)}</span>
          </div>
        </VizLayout.Legend>
      ) : null}
    >
      {(width, height) => (
        <UPlotChart config={builder} data={[[range.from.valueOf(), range.to.valueOf()], [0, 0]]} width={width} height={height}>
          <Marks builder={builder} marks={marks} />
        </UPlotChart>
      )}
    </VizLayout>
  );
}

export const PANELS: Record<string, React.ComponentType<PanelProps>> = {
  bargauge: Bars,
  gauge: Gauges,
  heatmap: Heatmap,
  row: () => null,
  stat: Stat,
  "state-timeline": Timeline,
  table: Table,
  text: Text,
  timeseries: Graph,
};
