// Grafana's own types of a dashboard, made as strict as a dashboard that is generated can be:
// options by the type of the panel, no keys beyond them, overrides and queries that have types too.

import type * as grafana from "@grafana/schema";
import type * as barchart from "@grafana/schema/dist/esm/raw/composable/barchart/panelcfg/x/BarChartPanelCfg_types.gen";
import type * as bargauge from "@grafana/schema/dist/esm/raw/composable/bargauge/panelcfg/x/BarGaugePanelCfg_types.gen";
import type * as heatmap from "@grafana/schema/dist/esm/raw/composable/heatmap/panelcfg/x/HeatmapPanelCfg_types.gen";
import type * as stat from "@grafana/schema/dist/esm/raw/composable/stat/panelcfg/x/StatPanelCfg_types.gen";
import type * as statetimeline from "@grafana/schema/dist/esm/raw/composable/statetimeline/panelcfg/x/StateTimelinePanelCfg_types.gen";
import type * as table from "@grafana/schema/dist/esm/raw/composable/table/panelcfg/x/TablePanelCfg_types.gen";
import type * as text from "@grafana/schema/dist/esm/raw/composable/text/panelcfg/x/TextPanelCfg_types.gen";
import type * as timeseries from "@grafana/schema/dist/esm/raw/composable/timeseries/panelcfg/x/TimeSeriesPanelCfg_types.gen";
import type * as trend from "@grafana/schema/dist/esm/raw/composable/trend/panelcfg/x/TrendPanelCfg_types.gen";
import type * as xychart from "@grafana/schema/dist/esm/raw/composable/xychart/panelcfg/x/XYChartPanelCfg_types.gen";

// A string enum takes none but its own members; JSON has their values.
type Literals<T> = 0 extends 1 & T
  ? T
  : T extends string
    ? `${T}`
    : T extends readonly (infer U)[]
      ? Literals<U>[]
      : T extends object
        ? { [K in keyof T]: Literals<T[K]> }
        : T;

// What Grafana's data source for Prometheus understands; its types are not in @grafana/schema.
interface PrometheusQuery {
  datasource: { type: "prometheus"; uid: "${datasource}" };
  editorMode?: "code" | "builder";
  exemplar?: boolean;
  expr: string;
  format?: "time_series" | "table" | "heatmap";
  hide?: boolean;
  instant?: boolean;
  interval?: string;
  intervalFactor?: number;
  legendFormat?: string;
  range?: boolean;
  refId: string;
}

type Defaults = NonNullable<grafana.Panel["fieldConfig"]>["defaults"];

type Property<Custom> =
  | { [K in keyof Defaults]-?: { id: K; value: Defaults[K] } }[Exclude<keyof Defaults, "custom">]
  | {
      [K in keyof Custom & string]-?: { id: `custom.${K}`; value: Custom[K] };
    }[keyof Custom & string];

interface Override<Custom> {
  matcher: {
    id: "byName" | "byNames" | "byRegexp" | "byType" | "byTypes" | "byFrameRefID" | "byValue";
    options: unknown;
  };
  properties: Property<Custom>[];
}

type Panel<Type extends string, Options, Custom = Record<string, never>> = Omit<
  grafana.Panel,
  "datasource" | "fieldConfig" | "gridPos" | "id" | "options" | "targets" | "title" | "type"
> & {
  datasource: PrometheusQuery["datasource"];
  fieldConfig: {
    defaults: Omit<Defaults, "custom"> & { custom?: Partial<Custom> };
    overrides: Override<Custom>[];
  };
  gridPos: grafana.GridPos;
  id: number;
  options: Options;
  targets: PrometheusQuery[];
  title: string;
  type: Type;
};

type Text = Omit<grafana.Panel, "fieldConfig" | "options" | "targets" | "type"> & {
  fieldConfig?: { defaults: Record<string, never>; overrides: never[] };
  options: text.Options;
  type: "text";
};

export interface Panels {
  barchart: Literals<Panel<"barchart", barchart.Options, barchart.FieldConfig>>;
  bargauge: Literals<Panel<"bargauge", bargauge.Options>>;
  heatmap: Literals<Panel<"heatmap", heatmap.Options, heatmap.FieldConfig>>;
  row: Literals<grafana.RowPanel>;
  stat: Literals<Panel<"stat", stat.Options>>;
  "state-timeline": Literals<
    Panel<"state-timeline", statetimeline.Options, statetimeline.FieldConfig>
  >;
  table: Literals<Panel<"table", table.Options, table.FieldConfig>>;
  text: Literals<Text>;
  timeseries: Literals<Panel<"timeseries", timeseries.Options, timeseries.FieldConfig>>;
  trend: Literals<Panel<"trend", trend.Options, trend.FieldConfig>>;
  xychart: Literals<Panel<"xychart", xychart.Options, xychart.FieldConfig>>;
}

// How Grafana's data source for Prometheus turns series into annotations; it takes a query that is
// beside, and not in, a target only for the sake of old dashboards.
interface PrometheusAnnotation {
  tagKeys?: string;
  textFormat?: string;
  titleFormat?: string;
  useValueForTime?: boolean;
}

type Annotation = Omit<grafana.AnnotationQuery, "target"> &
  PrometheusAnnotation & { target?: Partial<PrometheusQuery> & { refId: string } };

// Grafana writes a definition beside each query of a variable, and no choice where it exports one
// for others.
type Variable = Omit<grafana.VariableModel, "current"> & {
  current?: grafana.VariableModel["current"] | Record<string, never>;
  definition?: string;
};

export type Dashboard = Literals<
  Omit<
    grafana.Dashboard,
    "annotations" | "panels" | "schemaVersion" | "templating" | "title" | "uid"
  > & {
    annotations?: { list: Annotation[] };
    panels: never[];
    schemaVersion: 42;
    templating: { list: Variable[] };
    title: string;
    uid: string;
  }
>;
