// What all dashboards share: how a panel looks, and how a query is written.
import common from '@grafana/grafana-foundation-sdk/common';
import dashboard from '@grafana/grafana-foundation-sdk/dashboard';
import heatmaps from '@grafana/grafana-foundation-sdk/heatmap';
import prometheus from '@grafana/grafana-foundation-sdk/prometheus';
import stats from '@grafana/grafana-foundation-sdk/stat';
import tables from '@grafana/grafana-foundation-sdk/table';
import timeseries from '@grafana/grafana-foundation-sdk/timeseries';

const SOURCE = { type: 'prometheus', uid: '${datasource}' };

/** Whose series a panel shows. */
export const SELECTED = 'pipeline=~"$pipeline", instance=~"$instance"';

/** Of who asks: users, by way of the gateway; the load test, whose requests are not theirs. */
export const USERS = `${SELECTED}, job!="load"`;
export const LOAD = `${SELECTED}, job="load"`;

/** Of a topic too. */
export const TOPIC = `${SELECTED}, topic=~"$topic"`;

/** `name` without its prefix, of those selected. */
export const of = (name, selector = SELECTED) => `pipeline_${name}{${selector}}`;

/** A counter's rate, added up by labels. */
export const rate = (name, by = [], selector = SELECTED) =>
  `sum by (${by.join(', ')}) (rate(${of(name, selector)}[$__rate_interval]))`;

/** A histogram's quantile; 0 where nothing was seen, as NaN looks like an error. */
export const quantile = (q, name, by = [], selector = SELECTED) =>
  `(histogram_quantile(${q}, ${rate(`${name}_bucket`, ['le', ...by], selector)}) >= 0)` +
  ` or (0 * ${rate(`${name}_count`, by, selector)})`;

/** A histogram's average; 0 where nothing was seen. */
export const average = (name, by = [], selector = SELECTED) =>
  `(${rate(`${name}_sum`, by, selector)} / ${rate(`${name}_count`, by, selector)} >= 0)` +
  ` or (0 * ${rate(`${name}_count`, by, selector)})`;

/** p50, p90, p99: what a latency panel shows. */
export const percentiles = (name, selector = SELECTED) =>
  [0.5, 0.9, 0.99].map((q) => [quantile(q, name, [], selector), `p${q * 100}`]);

const target = ([expr, legend, format], index, instant = false) => {
  const query = new prometheus.DataqueryBuilder()
    .refId(String.fromCharCode(65 + index))
    .datasource(SOURCE)
    .expr(expr)
    .legendFormat(legend ?? '__auto');
  if (format) query.format(format);
  return instant ? query.instant() : query.range();
};

const steps = (thresholds) => new dashboard.ThresholdsConfigBuilder()
  .mode(dashboard.ThresholdsMode.Absolute)
  .steps([{ value: null, color: 'green' }, ...thresholds.map(([value, color]) => ({ value, color }))]);

const finish = (panel, { title, description, unit, queries, width, height, thresholds, max, decimals }, instant) => {
  panel.title(title).description(description).datasource(SOURCE).span(width ?? 12).height(height ?? 8);
  panel.unit(unit).min(0);
  if (max !== undefined) panel.max(max);
  if (decimals !== undefined) panel.decimals(decimals);
  if (thresholds) panel.thresholds(steps(thresholds));
  queries.forEach((query, index) => panel.withTarget(target(query, index, instant)));
  return panel;
};

/** Lines over time. `stacked` puts them upon each other; thresholds are drawn as lines. */
export const lines = (options) => {
  const panel = finish(new timeseries.PanelBuilder(), options)
    .colorScheme(new dashboard.FieldColorBuilder().mode('palette-classic'))
    .lineWidth(1)
    .fillOpacity(options.stacked ? 60 : 8)
    .showPoints(common.VisibilityMode.Never)
    .legend(new common.VizLegendOptionsBuilder().showLegend(true)
      .displayMode(common.LegendDisplayMode.List).placement(common.LegendPlacement.Bottom).calcs([]))
    .tooltip(new common.VizTooltipOptionsBuilder()
      .mode(common.TooltipDisplayMode.Multi).sort(common.SortOrder.Descending));
  if (options.stacked) panel.stacking(new common.StackingConfigBuilder().mode(common.StackingMode.Normal));
  if (options.thresholds) {
    panel.thresholdsStyle(new common.GraphThresholdsStyleConfigBuilder().mode(common.GraphThresholdsStyleMode.Dashed));
  }
  for (const [name, color] of Object.entries(options.colors ?? {})) {
    panel.overrideByName(name, [{ id: 'color', value: { mode: 'fixed', fixedColor: color } }]);
  }
  return panel;
};

/** One number, now, with its last hour behind it. */
export const number = (options) => finish(new stats.PanelBuilder(), { width: 4, height: 4, thresholds: [], ...options })
  .graphMode(common.BigValueGraphMode.Area)
  .colorMode(common.BigValueColorMode.Value)
  .reduceOptions(new common.ReduceDataOptionsBuilder().values(false).calcs(['lastNotNull']));

/** How often values lie where, over time. */
export const heatmap = (options) => finish(new heatmaps.PanelBuilder(), {
  ...options,
  queries: [[rate(`${options.histogram}_bucket`, ['le'], options.selector), '{{le}}', 'heatmap']],
}).calculate(false).yAxis(new heatmaps.YAxisConfigBuilder().unit(options.unit));

/** A row of cells for each series, as they are now. */
export const table = (options) => finish(new tables.PanelBuilder(), {
  ...options, queries: options.queries.map(([expr]) => [expr, '', 'table']),
}, true).transformations([
  { id: 'merge', options: {} },
  { id: 'organize', options: { excludeByName: { Time: true, job: true, __name__: true }, indexByName: {}, renameByName: options.names ?? {} } },
]);

/** A metric, with or without a selector, and one more condition. */
const narrowed = (metric, condition) =>
  metric.endsWith('}') ? metric.replace('}', `, ${condition}}`) : `${metric}{${condition}}`;

/** Variables: where the data is, then pipeline, instance and, where it matters, topic. */
const variables = ({ metric, topics }) => {
  const values = (name, label, series) => new dashboard.QueryVariableBuilder(name)
    .label(label)
    .datasource(SOURCE)
    .query(`label_values(${series}, ${name})`)
    .refresh(dashboard.VariableRefresh.OnTimeRangeChanged)
    .sort(dashboard.VariableSort.AlphabeticalAsc)
    .multi(true).includeAll(true).allValue('.*')
    .current({ selected: true, text: ['All'], value: ['$__all'] });
  return [
    new dashboard.DatasourceVariableBuilder('datasource').label('Data source').type('prometheus')
      .current({ selected: true, text: 'Prometheus', value: 'prometheus' }),
    values('pipeline', 'Pipeline', metric),
    values('instance', 'Instance', narrowed(metric, 'pipeline=~"$pipeline"')),
    ...(topics ? [values('topic', 'Topic', 'pipeline_records_produced_total{pipeline=~"$pipeline"}')] : []),
  ];
};

/** Partitions that change hands, drawn across all panels. */
const rebalances = new dashboard.AnnotationQueryBuilder()
  .name('Rebalances').datasource(SOURCE).enable(true).hide(false).iconColor('purple')
  .expr(`sum by (instance, event) (increase(${of('rebalances_total')}[$__rate_interval])) > 0`)
  .target(new dashboard.AnnotationTargetBuilder().limit(100).matchAny(false).tags([]).type('tags'));

/** A dashboard: rows of panels. */
export const board = ({ uid, title, description, metric = 'pipeline_build_info', topics = false, annotated = false, rows }) => {
  const result = new dashboard.DashboardBuilder(title)
    .uid(uid)
    .description(description)
    .tags(['pipeline'])
    .readonly()
    .tooltip(dashboard.DashboardCursorSync.Crosshair)
    .time({ from: 'now-1h', to: 'now' })
    .timezone('browser')
    .refresh('10s')
    .link(new dashboard.DashboardLinkBuilder('Pipeline dashboards').type(dashboard.DashboardLinkType.Dashboards)
      .tags(['pipeline']).asDropdown(true).keepTime(true).includeVars(true));
  variables({ metric, topics }).forEach((variable) => result.withVariable(variable));
  if (annotated) result.annotation(rebalances);
  for (const [name, panels] of rows) {
    result.withRow(new dashboard.RowBuilder(name));
    panels.forEach((panel) => result.withPanel(panel));
  }
  return tidy(result.build());
};

/** What the SDK leaves open, the panels' numbers; and what it says that the schema does not know (any more). */
function tidy(board) {
  board.panels.forEach((panel, index) => {
    panel.id = index + 1;
    if (panel.type === 'table') delete panel.options.footer;
  });
  for (const variable of board.templating.list) {
    delete variable.auto;
    delete variable.auto_min;
    delete variable.auto_count;
  }
  return board;
}
