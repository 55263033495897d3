import { average, board, heatmap, lines, of, percentiles, quantile, rate, table, SELECTED } from './panels.mjs';

const STAGES = {
  poll: 'super-light-blue', wait: 'orange', compute: 'green', send: 'yellow', commit: 'purple', rebalance: 'red', restore: 'blue',
};

export const dashboard = board({
  uid: 'pipeline-pipeline',
  title: 'Pipeline / Pipeline',
  description: 'Why is it slow? Where the time goes, lag, commits, backpressure and rebalances.',
  annotated: true,
  rows: [
    ['Where the time goes', [
      lines({
        title: 'Where the time goes', unit: 'percentunit', stacked: true, max: 1, width: 16, height: 10, colors: STAGES,
        description: 'What the owned partitions are busy with: waiting for records, waiting for room in the memory budget, computing, waiting for acknowledgements, committing, being handed over. Together they are all of the time.',
        queries: [[`sum by (stage) (rate(${of('stage_seconds_total')}[$__rate_interval])) / on () group_left () (${rate('stage_seconds_total')} > 0)`, '{{stage}}']],
      }),
      table({
        title: 'Partitions', unit: 'short', width: 8, height: 10,
        description: 'Lag in records of each owned partition, and who owns it.',
        queries: [[`sum by (topic, partition, instance) (${of('consumer_lag_records')})`]],
        names: { Value: 'lag' },
      }),
    ]],
    ['Throughput', [
      lines({
        title: 'Records', unit: 'cps',
        description: 'Records read, and acknowledged by the broker, a second, by topic; and records of which the operators made nothing.',
        queries: [
          [rate('records_consumed_total', ['topic']), 'in {{topic}}'],
          [rate('records_produced_total', ['topic']), 'out {{topic}}'],
          [rate('records_dropped_total'), 'dropped'],
        ],
      }),
      lines({
        title: 'Computing a record', unit: 's',
        description: 'By operator; averaged over the chunks that records are computed in. 0 where nothing was seen.',
        queries: [0.5, 0.99].map((q) => [quantile(q, 'record_process_duration_seconds', ['operator']), `{{operator}} p${q * 100}`]),
      }),
    ]],
    ['Lag', [
      lines({
        title: 'Lag in records', unit: 'short',
        description: 'From the first record that is not done to the partition\'s end. Owned partitions alone.',
        queries: [[`sum by (topic, partition) (${of('consumer_lag_records')})`, '{{topic}} {{partition}}']],
      }),
      lines({
        title: 'Lag in seconds', unit: 's',
        description: 'Age, by its timestamp, of the first record that is not committed. Owned partitions alone.',
        queries: [[`max by (topic, partition) (${of('consumer_lag_seconds')})`, '{{topic}} {{partition}}']],
        thresholds: [[30, 'orange'], [300, 'red']],
      }),
      lines({
        title: 'Held back by transactions', unit: 'short',
        description: 'Records from the last stable offset to the partition\'s end, once all before is read: an open transaction holds them back. For a moment that is so with every producer that has transactions.',
        queries: [[`max by (topic, partition) (${of('consumer_held_records')})`, '{{topic}} {{partition}}']],
      }),
      lines({
        title: 'Last stable offset stands still', unit: 's',
        description: 'How long it has not moved while records were behind it. Longer than any producer\'s time-out: a transaction hangs, which `pipeline transactions list` shows.',
        queries: [[`max by (topic, partition) (${of('consumer_held_seconds')})`, '{{topic}} {{partition}}']],
        thresholds: [[60, 'orange'], [900, 'red']],
      }),
    ]],
    ['Commits', [
      lines({
        title: 'Duration of a commit', unit: 's', width: 8,
        description: 'From asking to the answer. 0 where there was none.',
        queries: percentiles('commit_duration_seconds'),
      }),
      lines({
        title: 'Records a commit', unit: 'short', width: 8,
        description: 'Records done between two commits, on average.',
        queries: [[average('commit_records', ['instance']), '{{instance}}']],
      }),
      lines({
        title: 'Commits', unit: 'cps', width: 8,
        description: 'Commits that went through and that failed, transactions by their outcome, and producers that were replaced because a request of theirs may still be on its way, a second.',
        queries: [
          [rate('commit_duration_seconds_count'), 'commits'],
          [rate('commit_failures_total'), 'failed'],
          [rate('transactions_total', ['outcome']), 'transactions {{outcome}}'],
          [rate('producer_renewals_total'), 'new producers'],
        ],
      }),
      lines({
        title: 'Duration of a transaction', unit: 's',
        description: 'From its first record to its end, p99. 0 where there was none, as with at-least-once.',
        queries: [[quantile(0.99, 'transaction_duration_seconds', ['outcome']), '{{outcome}}']],
      }),
      heatmap({
        title: 'Commits by duration', unit: 's',
        description: 'How many commits took how long.',
        histogram: 'commit_duration_seconds',
      }),
    ]],
    ['Backpressure', [
      lines({
        title: 'Memory budget', unit: 'bytes',
        description: 'Bytes held, by stage, and what may be held (limits.memory). Half of it is for results, an eighth for records that are read.',
        queries: [
          [`sum by (stage) (${of('in_flight_bytes')})`, '{{stage}}'],
          [`sum(${of('memory_budget_bytes')})`, 'allowed'],
        ],
        colors: { allowed: 'red' },
      }),
      lines({
        title: 'Records held', unit: 'short', stacked: true,
        description: 'Records that are read and not computed (input), computed and not acknowledged (output).',
        queries: [[`sum by (stage) (${of('in_flight_records')})`, '{{stage}}']],
      }),
      lines({
        title: 'Reading paused', unit: 'percentunit', max: 1,
        description: 'The share of time in which no record is taken from the consumer, for want of room. High is normal while there is a backlog: the records wait in Kafka instead.',
        queries: [[`avg by (instance) (rate(${of('consumer_paused_seconds_total')}[$__rate_interval]))`, '{{instance}}']],
      }),
      lines({
        title: 'Paused partitions', unit: 'short',
        description: 'Partitions of which no record is taken right now.',
        queries: [[`sum by (instance) (${of('consumer_paused_partitions')})`, '{{instance}}']],
      }),
      lines({
        title: 'Paused by somebody', unit: 'short', max: 1,
        description: 'Workers that take no record, because `pipeline pause` says so: 1 for each until `pipeline resume`.',
        queries: [[`max by (instance) (${of('paused')})`, '{{instance}}']],
      }),
    ]],
    ['Rebalances', [
      lines({
        title: 'Rebalances', unit: 'short',
        description: 'Partitions came (assign), were handed over (revoke), or were gone already (lost), in five minutes.',
        queries: [[`sum by (event) (increase(${of('rebalances_total')}[5m]))`, '{{event}}']],
      }),
      lines({
        title: 'Duration of a rebalance', unit: 's',
        description: 'Finding out where to read from (assign), finishing and committing what is handed over (revoke): on average. 0 where there was none.',
        queries: [[average('rebalance_duration_seconds', ['event']), '{{event}}']],
      }),
    ]],
    ['What operators remember', [
      lines({
        title: 'On disk', unit: 'bytes', width: 6,
        description: 'What operators such as aggregate remember of earlier records, on the disks of the workers. All of it is in the changelog topic, too.',
        queries: [[`sum by (instance) (${of('state_bytes')})`, '{{instance}}']],
      }),
      lines({
        title: 'Read from the changelog', unit: 'cps', width: 6,
        description: 'Records of the changelog that are read before records of the source can be computed, a second.',
        queries: [[rate('state_restored_records_total', ['instance']), '{{instance}}']],
      }),
      lines({
        title: 'Partitions that wait for it', unit: 'short', width: 6,
        description: 'Partitions whose records wait until it is read what operators remember of them.',
        queries: [[`sum by (instance) (${of('state_restoring_partitions')})`, '{{instance}}']],
      }),
      lines({
        title: 'Copies lag', unit: 'short', width: 6,
        description: 'Records of the changelog that workers with standby = true do not have yet in their copies of others\' partitions. Whoever takes one over reads them first.',
        queries: [[`sum by (instance) (${of('state_standby_lag_records')})`, '{{instance}}']],
      }),
    ]],
    ['What goes wrong', [
      lines({
        title: 'Dead letters and expired requests', unit: 'cps', stacked: true, width: 8,
        description: 'Records that could not be computed, by class, and requests that were dropped because nobody waited for them any more (expired), a second.',
        queries: [[rate('dead_letters_total', ['class']), '{{class}}'], [rate('records_expired_total'), 'expired']],
      }),
      lines({
        title: 'Tried again', unit: 'cps', width: 8,
        description: 'What failed in passing: attempts of an operator, commits.',
        queries: [[rate('retries_total', ['class']), '{{class}}']],
      }),
      lines({
        title: 'Errors', unit: 'cps', width: 8,
        description: 'All that went wrong, by where and what.',
        queries: [[rate('errors_total', ['stage', 'class']), '{{stage}} {{class}}']],
      }),
    ]],
  ],
});
