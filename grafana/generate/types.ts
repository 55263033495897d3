// One strict type per panel type we use, all from Grafana's own published types (Apache-2.0).
import type * as D from '@grafana/schema/dist/types/raw/dashboard/x/types.gen';
import type * as TS from '@grafana/schema/dist/types/raw/composable/timeseries/panelcfg/x/types.gen';
import type * as ST from '@grafana/schema/dist/types/raw/composable/stat/panelcfg/x/types.gen';
import type * as GA from '@grafana/schema/dist/types/raw/composable/gauge/panelcfg/x/types.gen';
import type * as BG from '@grafana/schema/dist/types/raw/composable/bargauge/panelcfg/x/types.gen';
import type * as TA from '@grafana/schema/dist/types/raw/composable/table/panelcfg/x/types.gen';
import type * as HM from '@grafana/schema/dist/types/raw/composable/heatmap/panelcfg/x/types.gen';
import type * as TX from '@grafana/schema/dist/types/raw/composable/text/panelcfg/x/types.gen';
interface Target { refId: string; datasource?: D.DataSourceRef; expr: string; legendFormat?: string; instant?: boolean; range?: boolean; exemplar?: boolean; format?: 'time_series' | 'table' | 'heatmap'; editorMode?: 'code' | 'builder'; interval?: string; hide?: boolean; intervalFactor?: number }
type P<T extends string, O, C> = Omit<D.Panel, 'type' | 'options' | 'fieldConfig' | 'targets' | 'id' | 'title' | 'gridPos'> & { type: T; id: number; title: string; gridPos: D.GridPos; options: Partial<O>; fieldConfig: Omit<D.FieldConfigSource, 'defaults'> & { defaults: Omit<D.FieldConfig, 'custom'> & { custom?: Partial<C> } }; targets: Target[] };
type AnyPanel = P<'timeseries', TS.Options, TS.FieldConfig> | P<'stat', ST.Options, {}> | P<'gauge', GA.Options, {}> | P<'bargauge', BG.Options, {}> | P<'table', TA.Options, TA.FieldConfig> | P<'heatmap', HM.Options, HM.FieldConfig> | (Omit<P<'text', TX.Options, {}>, 'targets' | 'fieldConfig'>);
type Row = Omit<D.RowPanel, 'panels'> & { panels: AnyPanel[] };
// The query of an annotation belongs to its data source, and the schema leaves it out.
type Annotation = D.AnnotationQuery & { expr?: string };
export type Dash = Omit<D.Dashboard, 'panels' | 'templating' | 'annotations'> & { annotations?: { list?: Annotation[] }; uid: string; title: string; panels: (AnyPanel | Row)[]; templating: { list: (Omit<D.VariableModel, 'definition'> & { definition?: string })[] } };
