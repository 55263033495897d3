//! Where partitions are read from, and to: the brokers' answers, which are not always to be believed.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use rdkafka::{
    Offset as RdOffset, TopicPartitionList,
    consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext},
    error::{KafkaError, KafkaResult},
    types::RDKafkaErrorCode as Code,
};

use super::offsets::{self, commit_list};
use crate::{
    engine::{Assignment, CommitOffset, Stop},
    record::{Offset, TopicPartition, places},
};

/// How long one request to the broker may take while partitions are being assigned.
const ASK: Duration = Duration::from_secs(10);
/// How many times the brokers are asked before new clients are made.
const ASK_TIMES: u32 = 6;
/// The first pause before they are asked again, which grows each time: 3 s in all, after which a broker that
/// was stopped knows whether it is still a leader.
const ASK_PAUSE: Duration = Duration::from_millis(200);
/// The pause before a seek is repeated.
const SEEK_PAUSE: Duration = Duration::from_millis(50);

/// Where a partition without a usable commit is read from: `auto.offset.reset`.
///
/// We do this ourselves, and have librdkafka reset nothing. A broker that was stopped for a while and no
/// longer leads a partition answers waiting requests as if it did, from a log that ends too early. A client
/// that believes it at once reads a finished partition again, or skips records that are not done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reset {
    Earliest,
    Latest,
    Error,
}

impl Reset {
    /// By librdkafka's names.
    pub fn named(name: Option<&str>) -> Reset {
        match name {
            Some("latest" | "end" | "largest") => Reset::Latest,
            Some("error") => Reset::Error,
            _ => Reset::Earliest,
        }
    }
}

/// Finds out where partitions are read from.
pub struct Starts {
    reset: Reset,
    /// The ends of partitions as they were when first requested.
    ends: Mutex<BTreeMap<TopicPartition, Offset>>,
}

/// Why it is not known where partitions are read from.
enum Unanswered {
    Again(String),
    Stop(Stop),
}

impl From<KafkaError> for Unanswered {
    fn from(error: KafkaError) -> Self {
        Unanswered::Again(error.to_string())
    }
}

impl Starts {
    pub fn new(reset: Reset) -> Self {
        Starts { reset, ends: Mutex::default() }
    }

    /// Where partitions are read from, and to. Repeats its requests until the brokers answer, or the answer
    /// is no longer wanted.
    ///
    /// # Errors
    /// [`Stop::Restart`] where they do not answer, and [`Stop::Fatal`] where nothing says where to begin.
    pub fn fetch<C: ConsumerContext>(
        &self,
        consumer: &BaseConsumer<C>,
        partitions: Vec<TopicPartition>,
        is_wanted: impl Fn() -> bool,
    ) -> Result<Vec<Assignment>, Stop> {
        let mut attempt = 1;
        loop {
            let error = match self.ask_once(consumer, &partitions, attempt == ASK_TIMES, &is_wanted) {
                Ok(assignments) => return Ok(assignments),
                Err(Unanswered::Stop(stop)) => return Err(stop),
                Err(Unanswered::Again(error)) if attempt == ASK_TIMES => {
                    return Err(Stop::Restart(format!(
                        "the committed offsets of {} are not available: {error}",
                        places(&partitions)
                    )));
                }
                Err(Unanswered::Again(error)) => error,
            };
            tracing::warn!(error, partitions = %places(&partitions), "the committed offsets are not available yet; asking again");
            std::thread::sleep(ASK_PAUSE * attempt);
            attempt += 1;
        }
    }

    fn ask_once<C: ConsumerContext>(
        &self,
        consumer: &BaseConsumer<C>,
        partitions: &[TopicPartition],
        last: bool,
        is_wanted: impl Fn() -> bool,
    ) -> Result<Vec<Assignment>, Unanswered> {
        let mut list = TopicPartitionList::with_capacity(partitions.len());
        for partition in partitions {
            list.add_partition(&partition.topic, partition.partition);
        }
        let committed = if partitions.is_empty() { list } else { consumer.committed_offsets(list, ASK)? };
        let mut assignments = Vec::with_capacity(partitions.len());
        let mut unsettled = Vec::new();
        for (element, partition) in committed.elements().iter().zip(offsets::partitions(&committed)) {
            element.error()?;
            if !is_wanted() {
                return Err(Unanswered::Stop(Stop::Restart("the partitions are no longer read".to_owned())));
            }
            let (low, high) = consumer.fetch_watermarks(element.topic(), element.partition(), ASK)?;
            let metadata = element.metadata().to_owned();
            let (usable, metadata) = match element.offset() {
                RdOffset::Offset(offset) if offset > high && !last => {
                    return Err(Unanswered::Again(format!(
                        "{offset} is committed for {partition}, which ends at {high}"
                    )));
                }
                RdOffset::Offset(offset) if !(low..=high).contains(&offset) => {
                    tracing::warn!(%partition, offset, low, high, "the committed offset is not in the partition any more; going on at auto.offset.reset");
                    // Where records were deleted, those of the rest that were done are still done.
                    (None, if offset < low { metadata } else { String::new() })
                }
                RdOffset::Offset(offset) => (Some(offset), metadata),
                _ => (None, String::new()),
            };
            let start = match (usable, self.reset) {
                (Some(usable), _) => usable,
                (None, Reset::Earliest) => low,
                (None, Reset::Latest) => {
                    let (partition, offset) = (partition.clone(), Offset(high));
                    unsettled.push(CommitOffset { partition, offset, metadata: String::new() });
                    high
                }
                (None, Reset::Error) => {
                    return Err(Unanswered::Stop(Stop::Fatal(format!(
                        "there is no committed offset for {partition}, or it is not retained any more, and auto.offset.reset = \
                         \"error\" does not say where to go on: commit one (`kafka-consumer-groups.sh --reset-offsets`)"
                    ))));
                }
            };
            let end = *self.ends().entry(partition.clone()).or_insert(Offset(high));
            // A topic that was made again may have fewer records than at the start.
            let end = end.min(Offset(high));
            assignments.push(Assignment { partition, start: Offset(start), metadata, end });
        }
        // The end moves: after an abort, or a kill before the first commit, a later end would be found, and
        // the records in between would be skipped.
        if !unsettled.is_empty() {
            consumer.commit(&commit_list(&unsettled)?, CommitMode::Sync)?;
        }
        Ok(assignments)
    }

    fn ends(&self) -> MutexGuard<'_, BTreeMap<TopicPartition, Offset>> {
        self.ends.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Sets the offsets at which newly assigned partitions begin.
pub fn assign(list: &TopicPartitionList, assignments: &[Assignment]) {
    for mut element in list.elements() {
        let is_it = |a: &&Assignment| {
            a.partition.partition == element.partition() && *a.partition.topic == *element.topic()
        };
        if let Some(assignment) = assignments.iter().find(is_it) {
            // A plain offset can always be set.
            let _ = element.set_offset(RdOffset::Offset(assignment.start.0));
        }
    }
}

/// Moves assigned partitions to these offsets.
pub fn seek<C: ConsumerContext>(consumer: &BaseConsumer<C>, assignments: &[Assignment]) -> Result<(), Stop> {
    let began = Instant::now();
    while let Err(error) = seek_once(consumer, assignments) {
        // Seeking in a new partition fails before its fetching has begun.
        let passing = matches!(error.rdkafka_error_code(), Some(Code::State | Code::PreviousInProgress));
        if !passing || began.elapsed() > ASK {
            return Err(Stop::Restart(format!("cannot go back to the committed offsets: {error}")));
        }
        std::thread::sleep(SEEK_PAUSE);
    }
    Ok(())
}

fn seek_once<C: ConsumerContext>(consumer: &BaseConsumer<C>, assignments: &[Assignment]) -> KafkaResult<()> {
    if assignments.is_empty() {
        return Ok(());
    }
    let mut list = TopicPartitionList::with_capacity(assignments.len());
    for Assignment { partition, start, .. } in assignments {
        list.add_partition_offset(&partition.topic, partition.partition, RdOffset::Offset(start.0))?;
    }
    consumer.seek_partitions(list, ASK)?.elements().iter().try_for_each(|element| element.error())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use rdkafka::{
        ClientConfig,
        mocking::MockCluster,
        producer::{BaseProducer, BaseRecord, DefaultProducerContext, Producer},
        types::{RDKafkaApiKey, RDKafkaRespErr},
    };

    use super::*;
    use crate::{
        engine::{Budget, SourceEvent},
        kafka::{KafkaSource, SourceTopics},
        telemetry::{Progress, Subject},
    };

    /// A partition of ten records, in a cluster of its own.
    fn ten_records() -> MockCluster<'static, DefaultProducerContext> {
        let cluster = MockCluster::new(1).unwrap();
        cluster.create_topic("t", 1, 1).unwrap();
        produce_ten(&cluster.bootstrap_servers());
        cluster
    }

    fn produce_ten(servers: &str) {
        let producer: BaseProducer = ClientConfig::new().set("bootstrap.servers", servers).create().unwrap();
        for _ in 0..10 {
            producer.send(BaseRecord::<str, str>::to("t").payload("a")).unwrap();
        }
        producer.flush(Duration::from_secs(30)).unwrap();
    }

    fn config(servers: &str) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", servers).set("group.id", "g");
        config
    }

    fn commit(consumer: &BaseConsumer, offset: i64, metadata: &str) {
        let partition = TopicPartition::new("t", 0);
        let commit = CommitOffset { partition, offset: Offset(offset), metadata: metadata.to_owned() };
        consumer.commit(&commit_list(&[commit]).unwrap(), CommitMode::Sync).unwrap();
    }

    /// Where the partition is read from, and the metadata that says what is done above that.
    fn fetched(consumer: &BaseConsumer, reset: Reset) -> Result<(i64, String), Stop> {
        let fetched = Starts::new(reset).fetch(consumer, vec![TopicPartition::new("t", 0)], || true)?;
        Ok((fetched[0].start.0, fetched[0].metadata.clone()))
    }

    #[test]
    fn metadata_goes_with_the_offset_that_it_was_committed_with() {
        let cluster = ten_records();
        let consumer = config(&cluster.bootstrap_servers()).create().unwrap();
        assert_eq!(fetched(&consumer, Reset::Earliest), Ok((0, String::new())));
        commit(&consumer, 4, "of 4");
        assert_eq!(fetched(&consumer, Reset::Earliest), Ok((4, "of 4".to_owned())));
        commit(&consumer, 11, "of 11, which is behind the end");
        assert_eq!(fetched(&consumer, Reset::Earliest), Ok((0, String::new())));
    }

    #[test]
    fn a_start_at_the_end_is_committed_so_that_it_stays_where_it_was() {
        let cluster = ten_records();
        let servers = cluster.bootstrap_servers();
        let consumer = config(&servers).create().unwrap();
        assert_eq!(fetched(&consumer, Reset::Latest), Ok((10, String::new())));
        produce_ten(&servers);
        assert_eq!(
            fetched(&consumer, Reset::Latest),
            Ok((10, String::new())),
            "what came since is ours to do"
        );
        commit(&consumer, 21, "of 21, which is behind the end");
        assert_eq!(fetched(&consumer, Reset::Latest), Ok((20, String::new())));
        produce_ten(&servers);
        assert_eq!(fetched(&consumer, Reset::Latest), Ok((20, String::new())));
    }

    #[test]
    fn a_commit_behind_the_end_counts_once_the_broker_has_caught_up() {
        let cluster = ten_records();
        let servers = cluster.bootstrap_servers();
        let consumer = config(&servers).create().unwrap();
        commit(&consumer, 15, "of 15");
        std::thread::scope(|scope| {
            scope.spawn(|| {
                std::thread::sleep(Duration::from_millis(300));
                produce_ten(&servers);
            });
            assert_eq!(fetched(&consumer, Reset::Earliest), Ok((15, "of 15".to_owned())));
        });
    }

    #[test]
    fn without_a_reset_a_missing_commit_is_an_error() {
        let cluster = ten_records();
        let consumer = config(&cluster.bootstrap_servers()).create().unwrap();
        let stop = fetched(&consumer, Reset::Error).unwrap_err();
        assert!(
            matches!(&stop, Stop::Fatal(reason) if reason.contains("no committed offset for t[0]")),
            "{stop}"
        );
        commit(&consumer, 4, "");
        assert_eq!(fetched(&consumer, Reset::Error), Ok((4, String::new())));
    }

    #[test]
    fn nothing_is_read_from_elsewhere_where_a_broker_says_that_an_offset_is_not_there() {
        let cluster = ten_records();
        let mut config = config(&cluster.bootstrap_servers());
        commit(&config.create().unwrap(), 6, "");
        cluster
            .request_errors(RDKafkaApiKey::Fetch, &[RDKafkaRespErr::RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE]);
        config.set("auto.offset.reset", "earliest").set("enable.partition.eof", "true");
        let progress = Arc::new(Progress::new(Subject::default()));
        let topics = SourceTopics { subscribed: vec!["t".to_owned()], beside: Vec::new() };
        let source =
            KafkaSource::new(&config, &topics, Budget::new(1 << 20), Arc::default(), None, progress).unwrap();
        let mut begins = Vec::<i64>::new();
        let stop = futures::executor::block_on_stream(source).find_map(|event| match event {
            Err(stop) => Some(Some(stop)),
            Ok(SourceEvent::Batch(batch, _)) => {
                begins.push(batch.offset(0).0);
                Some(None)
            }
            Ok(_) => None,
        });
        assert!(begins.is_empty(), "{begins:?}");
        let stop = stop.flatten();
        assert!(matches!(&stop, Some(Stop::Restart(reason)) if reason.contains("t[0]")), "{stop:?}");
    }
}
