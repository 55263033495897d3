import { board, lines, of, percentiles, rate } from './panels.mjs';

export const dashboard = board({
  uid: 'pipeline-load',
  title: 'Pipeline / Load test',
  description: 'What is asked, what comes back, and what the workers do meanwhile.',
  metric: 'pipeline_requests_in_flight',
  annotated: true,
  rows: [
    ['Asked', [
      lines({
        title: 'Asked and answered', unit: 'reqps',
        description: 'Requests that came to an end, by outcome, a second.',
        queries: [[rate('request_duration_seconds_count', ['outcome']), '{{outcome}}']],
      }),
      lines({
        title: 'Whole way', unit: 's',
        description: 'From when a request was to be sent to its answer: what is late to be sent counts too.',
        queries: percentiles('request_duration_seconds'),
      }),
    ]],
    ['Workers', [
      lines({
        title: 'Records', unit: 'cps',
        description: 'Records that all workers read and had acknowledged, a second.',
        queries: [
          ['sum(rate(pipeline_records_consumed_total{pipeline=~"$pipeline"}[$__rate_interval]))', 'in'],
          ['sum(rate(pipeline_records_produced_total{pipeline=~"$pipeline"}[$__rate_interval]))', 'out'],
        ],
      }),
      lines({
        title: 'Where the workers\' time goes', unit: 'percentunit', stacked: true, max: 1,
        description: 'What the owned partitions are busy with.',
        queries: [['sum by (stage) (rate(pipeline_stage_seconds_total{pipeline=~"$pipeline"}[$__rate_interval])) / on () group_left () (sum(rate(pipeline_stage_seconds_total{pipeline=~"$pipeline"}[$__rate_interval])) > 0)', '{{stage}}']],
      }),
      lines({
        title: 'Lag', unit: 'short',
        description: 'Records that wait to be done, by partition.',
        queries: [['sum by (topic, partition) (pipeline_consumer_lag_records{pipeline=~"$pipeline"})', '{{topic}} {{partition}}']],
      }),
      lines({
        title: 'Waiting', unit: 'short',
        description: 'Requests that wait for their answer.',
        queries: [[`sum by (instance) (${of('requests_in_flight')})`, '{{instance}}']],
      }),
    ]],
  ],
});
