import { average, board, lines, number, of, quantile, rate, SELECTED, USERS } from './panels.mjs';

/** Requests that were answered in time, of all: 1 where nobody asked. */
const inTime = `(sum(rate(pipeline_request_duration_seconds_bucket{${USERS}, outcome="ok", le="2.5"}[$__rate_interval]))` +
  ` / sum(rate(pipeline_request_duration_seconds_count{${USERS}}[$__rate_interval])) >= 0) or vector(1)`;

export const dashboard = board({
  uid: 'pipeline-overview',
  title: 'Pipeline / Overview',
  description: 'Is it healthy? The four golden signals of all pipelines at once.',
  annotated: true,
  rows: [
    ['Is it healthy?', [
      number({
        title: 'Processes', unit: 'short', decimals: 0,
        description: 'Processes that answered the last scrape.',
        queries: [[`count(count by (instance) (${of('build_info')}))`]],
      }),
      number({
        title: 'Owned partitions', unit: 'short', decimals: 0,
        description: 'Partitions that some worker owns. Less than the topics have: nobody does the rest.',
        queries: [[`sum(${of('assigned_partitions')})`]],
        thresholds: [],
      }),
      number({
        title: 'Oldest record', unit: 's',
        description: 'Age of the oldest record that is not done and committed, over all partitions.',
        queries: [[`max(${of('consumer_lag_seconds')})`]],
        thresholds: [[30, 'orange'], [300, 'red']],
      }),
      number({
        title: 'Lag', unit: 'short', decimals: 0,
        description: 'Records that wait to be done, in all partitions.',
        queries: [[`sum(${of('consumer_lag_records')})`]],
      }),
      number({
        title: 'Dead letters', unit: 'cps',
        description: 'Records that could not be computed, a second.',
        queries: [[rate('dead_letters_total')]],
        thresholds: [[0.001, 'orange'], [10, 'red']],
      }),
      number({
        title: 'Answered in time', unit: 'percentunit', max: 1,
        description: 'The objective: requests that were answered within 2.5 s, of all; 99 % is promised. 100 % where nobody asked.',
        queries: [[inTime]],
        thresholds: [],
      }),
    ]],
    ['Golden signals', [
      lines({
        title: 'Traffic', unit: 'cps',
        description: 'Records read, and acknowledged by the broker, a second.',
        queries: [[rate('records_consumed_total', ['pipeline']), '{{pipeline}} in'], [rate('records_produced_total', ['pipeline']), '{{pipeline}} out']],
      }),
      lines({
        title: 'Latency', unit: 's',
        description: 'From computing to the acknowledgement, and a commit: p99. 0 where nothing was seen.',
        queries: [
          [quantile(0.99, 'record_process_duration_seconds', ['pipeline']), '{{pipeline}} computing'],
          [quantile(0.99, 'producer_ack_duration_seconds', ['pipeline']), '{{pipeline}} acknowledgement'],
          [quantile(0.99, 'commit_duration_seconds', ['pipeline']), '{{pipeline}} commit'],
        ],
      }),
      lines({
        title: 'Errors', unit: 'cps', stacked: true,
        description: 'All that went wrong, by where and what: bad input became a dead letter, what is passing was tried again.',
        queries: [[rate('errors_total', ['stage', 'class']), '{{stage}} {{class}}']],
      }),
      lines({
        title: 'Saturation', unit: 'percentunit', max: 1,
        description: 'The share of the partitions\' time that goes to something else than waiting for records, and of the memory budget that is in use.',
        queries: [
          [`1 - ${rate('stage_seconds_total', ['pipeline'], `${SELECTED}, stage="poll"`)} / (${rate('stage_seconds_total', ['pipeline'])} > 0)`, '{{pipeline}} time'],
          [`sum by (pipeline) (${of('in_flight_bytes')}) / sum by (pipeline) (${of('memory_budget_bytes')})`, '{{pipeline}} memory'],
        ],
        thresholds: [[0.9, 'orange']],
      }),
    ]],
    ['Since when', [
      lines({
        title: 'Lag by pipeline', unit: 's',
        description: 'Age of the oldest record that is not done and committed.',
        queries: [[`max by (pipeline) (${of('consumer_lag_seconds')})`, '{{pipeline}}']],
        thresholds: [[30, 'orange'], [300, 'red']],
      }),
      lines({
        title: 'Partitions by process', unit: 'short', stacked: true,
        description: 'Who owns how many. It moves when processes come and go.',
        queries: [[`sum by (instance) (${of('assigned_partitions')})`, '{{instance}}']],
      }),
      lines({
        title: 'Restarts of the clients', unit: 'short',
        description: 'Clients that could not go on and were made anew, in five minutes.',
        queries: [[`sum by (instance) (increase(${of('restarts_total')}[5m]))`, '{{instance}}']],
      }),
      lines({
        title: 'Records a commit', unit: 'short',
        description: 'Records done between two commits, on average: the more, the cheaper each.',
        queries: [[average('commit_records', ['pipeline']), '{{pipeline}}']],
      }),
    ]],
    ['How many workers (pipeline scale)', [
      lines({
        title: 'Work that waits', unit: 's',
        description: 'What waits in the source topics, in seconds of work, as the operators estimate the cost of each record.',
        queries: [[`max by (pipeline) (${of('backlog_seconds')})`, '{{pipeline}}']],
      }),
      lines({
        title: 'Workers wanted', unit: 'short',
        description: 'How many workers there should be; and how many seconds of that work one does in a second, as measured.',
        queries: [
          [`max by (pipeline) (${of('workers_wanted')})`, '{{pipeline}} wanted'],
          [`max by (pipeline) (${of('worker_seconds_per_second')})`, '{{pipeline}} speed of one'],
        ],
      }),
    ]],
  ],
});
