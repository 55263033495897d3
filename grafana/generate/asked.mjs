// What both the gateway's and the load test's dashboard show of requests.
import { heatmap, lines, percentiles, rate } from './panels.mjs';

/** Panels of the requests that `selector` selects. */
export const asked = (selector) => [
  lines({
    title: 'Requests by outcome', unit: 'reqps', stacked: true,
    description: 'What became of them, a second.',
    queries: [[rate('request_duration_seconds_count', ['outcome'], selector), '{{outcome}}']],
    colors: { ok: 'green', error: 'red', timeout: 'orange', expired: 'purple' },
  }),
  lines({
    title: 'Whole way', unit: 's',
    description: 'From when a request was to be sent to its answer: what is late to be sent counts too. 0 where there was none.',
    queries: percentiles('request_duration_seconds', selector),
  }),
  heatmap({
    title: 'Requests by duration', unit: 's',
    description: 'How many requests took how long.',
    histogram: 'request_duration_seconds', selector,
  }),
  lines({
    title: 'Acknowledgement', unit: 's',
    description: 'From sending a request to the broker\'s acknowledgement. 0 where there was none, as over HTTP.',
    queries: percentiles('request_ack_duration_seconds', selector),
  }),
];
