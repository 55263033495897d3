import { asked } from './asked.mjs';
import { board, lines, number, of, rate, USERS } from './panels.mjs';

const bad = (window) => `(1 - sum(rate(pipeline_request_duration_seconds_bucket{${USERS}, outcome="ok", le="2.5"}[${window}]))` +
  ` / sum(rate(pipeline_request_duration_seconds_count{${USERS}}[${window}])) >= 0) or vector(0)`;

export const dashboard = board({
  uid: 'pipeline-requests',
  title: 'Pipeline / Requests',
  description: 'What who asks gets: how long it takes, and what becomes of it.',
  metric: 'pipeline_requests_in_flight{job!="load"}',
  rows: [
    ['Requests', [
      number({
        title: 'Requests', unit: 'reqps', width: 6,
        description: 'Requests that came to an end, a second.',
        queries: [[rate('request_duration_seconds_count', [], USERS)]],
      }),
      number({
        title: 'In flight', unit: 'short', decimals: 0, width: 6,
        description: 'Requests that wait for their answer.',
        queries: [[`sum(${of('requests_in_flight', USERS)})`]],
      }),
      number({
        title: 'Not in time', unit: 'percentunit', width: 6,
        description: 'Requests that were not answered within 2.5 s, of all, over five minutes [allow-fixed-range]. 1 % is allowed.',
        queries: [[bad('5m')]],
        thresholds: [[0.01, 'orange'], [0.144, 'red']],
      }),
      number({
        title: 'Error budget burnt in an hour', unit: 'short', decimals: 1, width: 6,
        description: 'How many times as fast as the objective (99 % within 2.5 s) allows, over one hour [allow-fixed-range]. At 14.4, a month\'s budget is gone in two days.',
        queries: [[`(${bad('1h')}) / 0.01`]],
        thresholds: [[1, 'orange'], [14.4, 'red']],
      }),
      ...asked(USERS),
      lines({
        title: 'Waiting', unit: 'short',
        description: 'Requests that wait for their answer.',
        queries: [[`sum by (instance) (${of('requests_in_flight', USERS)})`, '{{instance}}']],
      }),
      lines({
        title: 'Not produced, again, late', unit: 'cps',
        description: 'Requests that share an answer that is on its way (coalesced) or known already, requests that were produced once more, and answers that nobody waited for (late).',
        queries: [
          [rate('requests_coalesced_total', [], USERS), 'coalesced'],
          [rate('requests_known_total', [], USERS), 'known'],
          [rate('requests_repeated_total', [], USERS), 'repeated'],
          [rate('replies_late_total', [], USERS), 'late'],
        ],
      }),
    ]],
  ],
});
