import { board, lines, number, of, quantile, rate, TOPIC } from './panels.mjs';

export const dashboard = board({
  uid: 'pipeline-clients',
  title: 'Pipeline / Kafka clients',
  description: 'What librdkafka does: brokers, queues, acknowledgements.',
  topics: true,
  annotated: true,
  rows: [
    ['Brokers', [
      number({
        title: 'Brokers connected', unit: 'short', decimals: 0,
        description: 'Brokers that some client is connected to.',
        queries: [[`count(max by (broker) (${of('kafka_broker_up')}) == 1) or vector(0)`]],
      }),
      lines({
        title: 'Broker up', unit: 'short', width: 10, max: 1,
        description: '1 where a client is connected, 0 where none can be.',
        queries: [[`min by (instance, broker) (${of('kafka_broker_up')})`, '{{instance}} {{broker}}']],
      }),
      lines({
        title: 'Broker errors', unit: 'cps', width: 10,
        description: 'Failed or unanswered requests and broken connections, a second.',
        queries: [[rate('kafka_broker_errors_total', ['broker']), '{{broker}}']],
      }),
      lines({
        title: 'Round trip', unit: 's',
        description: 'The producer\'s requests, from sending to the answer, on average.',
        queries: [[`max by (instance, broker) (${of('kafka_broker_rtt_seconds')})`, '{{instance}} {{broker}}']],
      }),
      lines({
        title: 'Acknowledgement', unit: 's',
        description: 'From handing a record\'s chunk to the producer to its acknowledgement, by topic. 0 where there was none.',
        queries: [0.5, 0.99].map((q) => [quantile(q, 'producer_ack_duration_seconds', ['topic'], TOPIC), `{{topic}} p${q * 100}`]),
      }),
    ]],
    ['Queues', [
      lines({
        title: 'Producer queue', unit: 'short', stacked: true,
        description: 'Records handed to the producer and not acknowledged.',
        queries: [[`sum by (topic) (${of('producer_queue_records', TOPIC)})`, '{{topic}}']],
      }),
      lines({
        title: 'Fetch queue', unit: 'short', stacked: true,
        description: 'Records that are fetched ahead. Empty, with lag: the network or the broker is slow.',
        queries: [[`sum by (instance) (${of('kafka_fetch_queue_records')})`, '{{instance}}']],
      }),
    ]],
    ['Bytes', [
      lines({
        title: 'Bytes read', unit: 'Bps',
        description: 'Keys, values and headers, before compression.',
        queries: [[rate('bytes_consumed_total', ['topic']), '{{topic}}']],
      }),
      lines({
        title: 'Bytes sent', unit: 'Bps',
        description: 'Keys, values and headers, before compression.',
        queries: [[rate('bytes_produced_total', ['topic'], TOPIC), '{{topic}}']],
      }),
      lines({
        title: 'Records a batch', unit: 'short',
        description: 'Records that are read at once: p50 and p99. 0 where there was none.',
        queries: [0.5, 0.99].map((q) => [quantile(q, 'batch_records'), `p${q * 100}`]),
      }),
    ]],
  ],
});
