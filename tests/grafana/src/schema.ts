// What a dashboard of this repository may contain: Grafana's own types, made strict. In Grafana's, the options and
// custom fields of a panel are records of anything; here they are those of the panel's plugin.
import type * as g from "@grafana/schema";
import type * as bargauge from "@grafana/schema/dist/esm/raw/composable/bargauge/panelcfg/x/BarGaugePanelCfg_types.gen";
import type * as gauge from "@grafana/schema/dist/esm/raw/composable/gauge/panelcfg/x/GaugePanelCfg_types.gen";
import type * as heatmap from "@grafana/schema/dist/esm/raw/composable/heatmap/panelcfg/x/HeatmapPanelCfg_types.gen";
import type * as stat from "@grafana/schema/dist/esm/raw/composable/stat/panelcfg/x/StatPanelCfg_types.gen";
import type * as timeline from "@grafana/schema/dist/esm/raw/composable/statetimeline/panelcfg/x/StateTimelinePanelCfg_types.gen";
import type * as table from "@grafana/schema/dist/esm/raw/composable/table/panelcfg/x/TablePanelCfg_types.gen";
import type * as text from "@grafana/schema/dist/esm/raw/composable/text/panelcfg/x/TextPanelCfg_types.gen";
import type * as timeseries from "@grafana/schema/dist/esm/raw/composable/timeseries/panelcfg/x/TimeSeriesPanelCfg_types.gen";

// JSON has no enums, only their values.
type Json<T> = T extends string
  ? string extends T ? string : `${T}`
  : T extends (infer Item)[] ? Json<Item>[]
  : T extends object ? { [K in keyof T]: Json<T[K]> }
  : T;

// What is left out gets the plugin's default.
type Loose<T> = T extends unknown[] ? T : T extends object ? { [K in keyof T]?: Loose<T[K]> } : T;

// The veneer of @grafana/schema widens some fields; these are the ones below it.
type RawPanel = NonNullable<Extract<NonNullable<g.Dashboard["panels"]>[number], { options?: unknown }>>;
type RawField = NonNullable<RawPanel["fieldConfig"]>["defaults"];
type Field = Omit<RawField, "custom" | "links"> & { links?: { title: string; url: string; targetBlank?: boolean }[] };

// The Prometheus data source's query has no type in @grafana/schema.
interface Query {
  refId: string;
  datasource: g.DataSourceRef;
  expr: string;
  editorMode?: "code" | "builder";
  exemplar?: boolean;
  format?: "time_series" | "table" | "heatmap";
  hide?: boolean;
  instant?: boolean;
  interval?: string;
  intervalFactor?: number;
  legendFormat?: string;
  range?: boolean;
}

type Properties<T, Prefix extends string> = {
  [K in keyof T & string]-?: { id: `${Prefix}${K}`; value: NonNullable<T[K]> };
}[keyof T & string];

type PanelOf<Type extends string, Options, Custom> = Omit<RawPanel, "type" | "options" | "fieldConfig" | "targets"> & {
  type: Type;
  options: Loose<Options>;
  fieldConfig?: {
    defaults: Field & { custom?: Custom };
    overrides: {
      matcher: { id: string; options?: unknown };
      properties: (Properties<Field, ""> | Properties<Custom, "custom.">)[];
    }[];
  };
  targets?: Query[];
};

type Panel =
  | PanelOf<"bargauge", bargauge.Options, {}>
  | PanelOf<"gauge", gauge.Options, {}>
  | PanelOf<"heatmap", heatmap.Options, heatmap.FieldConfig>
  | PanelOf<"stat", stat.Options, {}>
  // Null values are joined in a time line as in a graph, though its type does not say so.
  | PanelOf<"state-timeline", timeline.Options, timeline.FieldConfig & Pick<g.GraphFieldConfig, "spanNulls" | "insertNulls">>
  | PanelOf<"table", table.Options, Partial<table.FieldConfig>>
  | PanelOf<"text", text.Options, {}>
  | PanelOf<"timeseries", timeseries.Options, timeseries.FieldConfig>;

type Row = Omit<g.RowPanel, "panels"> & { panels: Panel[] };

type Variable = Omit<g.VariableModel, "current"> & {
  current?: Partial<NonNullable<g.VariableModel["current"]>>;
  definition?: string;
  baseFilters?: AdhocFilter[];
  filters?: AdhocFilter[];
};
interface AdhocFilter {
  key: string;
  operator: string;
  value: string;
}

type Annotation = Omit<g.AnnotationQuery, "target"> & {
  expr?: string;
  step?: string;
  tagKeys?: string;
  textFormat?: string;
  titleFormat?: string;
  useValueForTime?: boolean;
  target?: Query | g.AnnotationTarget;
};

export type Dashboard = Json<
  Omit<g.Dashboard, "panels" | "templating" | "annotations"> & {
    uid: string;
    title: string;
    schemaVersion: 42;
    panels: (Panel | Row)[];
    templating: { list: Variable[] };
    annotations: { list: Annotation[] };
    weekStart?: string;
  }
>;
