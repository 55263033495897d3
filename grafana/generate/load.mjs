import { asked } from './asked.mjs';
import { board, lines, LOAD, number, of, rate } from './panels.mjs';

export const dashboard = board({
  uid: 'pipeline-load',
  title: 'Pipeline / Load test',
  description: 'What `pipeline load` asks, what comes back, and what the workers do meanwhile (all of them: a load test has a name of its own).',
  metric: 'pipeline_requests_in_flight{job="load"}',
  annotated: true,
  rows: [
    ['Asked', [
      number({
        title: 'Answered', unit: 'reqps', width: 8,
        description: 'Requests of the load test that came to an end, a second.',
        queries: [[rate('request_duration_seconds_count', [], LOAD)]],
      }),
      number({
        title: 'Waiting', unit: 'short', decimals: 0, width: 8,
        description: 'Requests that wait for their answer.',
        queries: [[`sum(${of('requests_in_flight', LOAD)})`]],
      }),
      number({
        title: 'Not answered', unit: 'reqps', width: 8,
        description: 'Requests that came to an error, a timeout or nothing, a second.',
        queries: [[`sum(rate(pipeline_request_duration_seconds_count{${LOAD}, outcome!="ok"}[$__rate_interval]))`]],
        thresholds: [[0.001, 'red']],
      }),
      ...asked(LOAD),
    ]],
    ['Workers', [
      lines({
        title: 'Records', unit: 'cps',
        description: 'Records that all workers read and had acknowledged, a second.',
        queries: [
          ['sum(rate(pipeline_records_consumed_total[$__rate_interval]))', 'in'],
          ['sum(rate(pipeline_records_produced_total[$__rate_interval]))', 'out'],
        ],
      }),
      lines({
        title: 'Where the workers\' time goes', unit: 'percentunit', stacked: true, max: 1,
        description: 'What the owned partitions are busy with.',
        queries: [['sum by (stage) (rate(pipeline_stage_seconds_total[$__rate_interval])) / on () group_left () (sum(rate(pipeline_stage_seconds_total[$__rate_interval])) > 0)', '{{stage}}']],
      }),
      lines({
        title: 'Lag', unit: 'short', width: 24,
        description: 'Records that wait to be done, by partition.',
        queries: [['sum by (topic, partition) (pipeline_consumer_lag_records)', '{{topic}} {{partition}}']],
      }),
    ]],
  ],
});
