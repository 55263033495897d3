import { average, board, heatmap, lines, of, quantile, rate } from './panels.mjs';

export const dashboard = board({
  uid: 'pipeline-factorial',
  title: 'Pipeline / Factorials',
  description: 'What the operator factorial computes, and how.',
  metric: 'pipeline_factorial_compute_duration_seconds_count',
  rows: [
    ['Factorials', [
      lines({
        title: 'Factorials', unit: 'cps',
        description: 'Factorials computed a second, by method, how many did not have to begin at 1, and how many were known.',
        queries: [
          [rate('factorial_compute_duration_seconds_count', ['method']), '{{method}}'],
          [rate('factorial_checkpoint_hits_total'), 'checkpoint hits'],
          [rate('factorial_finished_total'), 'finished before'],
        ],
      }),
      lines({
        title: 'Computing a factorial', unit: 's',
        description: 'By method, p50 and p99. 0 where there was none.',
        queries: [0.5, 0.99].map((q) => [quantile(q, 'factorial_compute_duration_seconds', ['method']), `{{method}} p${q * 100}`]),
      }),
      lines({
        title: 'Computing time by size', unit: 's',
        description: 'On average, by how many digits a result has at most. 0 where there was none.',
        queries: [[average('factorial_compute_duration_seconds', ['size']), 'up to {{size}} digits']],
      }),
      heatmap({
        title: 'n', unit: 'short',
        description: 'What factorials are asked of.',
        histogram: 'factorial_n',
      }),
      lines({
        title: 'Digits', unit: 'short',
        description: 'Decimal digits of the results, a second, by method.',
        queries: [[rate('factorial_result_digits_sum', ['method']), '{{method}}']],
      }),
      heatmap({
        title: 'Results by size', unit: 'short',
        description: 'How many results have how many digits.',
        histogram: 'factorial_result_digits',
      }),
      lines({
        title: 'Long records', unit: 'short',
        description: 'Records that are being computed since more than a second; of the one that will be the last, the part that is done and the seconds that are left.',
        queries: [
          [`sum by (instance) (${of('long_records')})`, '{{instance}} records'],
          [`max by (instance) (${of('long_record_done_ratio')})`, '{{instance}} done'],
          [`max by (instance) (${of('long_record_left_seconds')})`, '{{instance}} seconds left'],
        ],
      }),
    ]],
  ],
});
