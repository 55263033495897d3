//! librdkafka's mock cluster as a broker for a first look: in this process, on loopback, in memory.
//!
//! It has no admin API, no isolation of transactions and no fencing, so it only does at-least-once.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use rdkafka::{
    ClientConfig, bindings as rd,
    config::RDKafkaLogLevel,
    error::{KafkaError, RDKafkaErrorCode as Code},
    producer::{BaseProducer, Producer},
};
use thiserror::Error;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    task::JoinHandle,
};

/// The most connections at once through the well-known port.
const CONNECTIONS: usize = 1_000;
/// How long a group's first member waits for others. 3 s by default, as on a real broker, where it saves a
/// rebalance; here it would only keep a newcomer waiting.
const FIRST_REBALANCE_DELAY_MS: i32 = 10;

/// Why the embedded broker cannot be used.
#[derive(Error, Debug)]
#[error("the embedded broker {0}")]
pub struct EmbeddedError(String);

/// A broker that exists, with all of its records, until this is dropped.
pub struct EmbeddedBroker {
    /// Owns the cluster.
    client: BaseProducer,
    address: SocketAddr,
    forwarder: JoinHandle<()>,
}

impl EmbeddedBroker {
    /// Starts one at 127.0.0.1 and that port, or at another port where that one is taken.
    ///
    /// # Errors
    /// Where the cluster does not start, or no port is free.
    pub async fn start(port: u16) -> Result<Self, EmbeddedError> {
        let cannot_start = |why: String| EmbeddedError(format!("cannot start: {why}"));
        let client: BaseProducer = ClientConfig::new()
            .set("test.mock.num.brokers", "1")
            // Nobody polls this client, so its log lines would pile up.
            .set_log_level(RDKafkaLogLevel::Emerg)
            .create()
            .map_err(|error| cannot_start(error.to_string()))?;
        // SAFETY: the client is live and owns the cluster; the call does not check for none, so we do.
        unsafe {
            let cluster = rd::rd_kafka_handle_mock_cluster(client.client().native_ptr());
            if !cluster.is_null() {
                rd::rd_kafka_mock_group_initial_rebalance_delay_ms(cluster, FIRST_REBALANCE_DELAY_MS);
            }
        }
        let servers = client.client().mock_cluster().map(|cluster| cluster.bootstrap_servers());
        let servers = servers.ok_or_else(|| cannot_start("librdkafka gives none".to_owned()))?;
        let target = servers.parse().map_err(|_| cannot_start(format!("it listens at {servers}")))?;
        let listener = bind(port).await.map_err(|error| cannot_start(error.to_string()))?;
        let address = listener.local_addr().map_err(|error| cannot_start(error.to_string()))?;
        Ok(EmbeddedBroker { client, address, forwarder: tokio::spawn(forward(listener, target)) })
    }

    /// The address at which clients reach it.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Creates a topic where it does not exist yet.
    ///
    /// # Errors
    /// Where the cluster refuses.
    pub fn create_topic(&self, topic: &str, partitions: i32) -> Result<(), EmbeddedError> {
        let cluster = self.client.client().mock_cluster();
        match cluster.map(|cluster| cluster.create_topic(topic, partitions, 1)) {
            Some(Ok(()) | Err(KafkaError::MockCluster(Code::TopicAlreadyExists))) => Ok(()),
            Some(Err(error)) => Err(EmbeddedError(format!("cannot create the topic {topic}: {error}"))),
            None => Err(EmbeddedError("is gone".to_owned())),
        }
    }
}

impl Drop for EmbeddedBroker {
    fn drop(&mut self) {
        self.forwarder.abort();
    }
}

/// Binds another port only where this one is taken.
async fn bind(port: u16) -> io::Result<TcpListener> {
    match TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await
        }
        bound => bound,
    }
}

/// Passes connections on to the cluster, which chooses its port itself: clients find it here, and then learn
/// its own address.
async fn forward(listener: TcpListener, target: SocketAddr) {
    let room = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let Ok(permit) = room.clone().acquire_owned().await else { return };
        let Ok((mut client, _)) = listener.accept().await else {
            // Out of file descriptors, most likely: that may pass.
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        tokio::spawn(async move {
            if let Ok(mut broker) = TcpStream::connect(target).await {
                // Either side may hang up at any time.
                let _ = tokio::io::copy_bidirectional(&mut client, &mut broker).await;
            }
            drop(permit);
        });
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use rdkafka::{
        Message, Offset, TopicPartitionList,
        consumer::{BaseConsumer, CommitMode, Consumer},
        producer::BaseRecord,
    };

    use super::*;
    use crate::{
        config::{Pipeline, load},
        kafka::{Admin, settings},
    };

    const PATIENCE: Duration = Duration::from_secs(20);

    struct Fixture {
        _broker: EmbeddedBroker,
        pipeline: Pipeline,
    }

    impl Fixture {
        async fn new() -> Self {
            let broker = EmbeddedBroker::start(0).await.unwrap();
            let servers = format!("kafka.bootstrap.servers={}", broker.address()).parse().unwrap();
            let (pipeline, _) = load("factorial.toml", &[servers]).unwrap();
            broker.create_topic(&pipeline.source.topic().topic, 2).unwrap();
            Fixture { _broker: broker, pipeline }
        }

        /// A member of the pipeline's group.
        fn member(&self) -> BaseConsumer {
            let consumer: BaseConsumer = settings::consumer(&self.pipeline, true).create().unwrap();
            consumer.subscribe(&[&self.pipeline.source.topic().topic]).unwrap();
            consumer
        }

        fn producer(&self) -> BaseProducer {
            let limits = crate::kafka::TopicLimits { results: vec![1_048_588], dead_letters: 1_048_588 };
            settings::producer(&self.pipeline, &limits).create().unwrap()
        }
    }

    /// Polls all until each owns so many partitions; how long that took.
    fn until_shared(members: &[&BaseConsumer], each: usize) -> Duration {
        let start = Instant::now();
        while !members.iter().all(|member| member.assignment().unwrap().count() == each) {
            for member in members {
                member.poll(Duration::from_millis(10));
            }
            assert!(start.elapsed() < PATIENCE, "no {each} partitions each after {PATIENCE:?}");
        }
        start.elapsed()
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn the_first_worker_has_its_partitions_at_once_and_the_second_its_share_soon() {
        let fixture = Fixture::new().await;
        let first = fixture.member();
        let alone = until_shared(&[&first], 2);
        assert!(alone < Duration::from_secs(2), "{alone:?}");
        let second = fixture.member();
        let shared = until_shared(&[&first, &second], 1);
        assert!(shared < Duration::from_secs(6), "{shared:?}");
        drop(second);
        until_shared(&[&first], 2);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_is_produced_comes_back_and_a_commit_keeps_its_metadata() {
        let fixture = Fixture::new().await;
        let topic = fixture.pipeline.source.topic().topic.clone();
        let producer = fixture.producer();
        let record = BaseRecord::<[u8], [u8]>::to(&topic).partition(1).key(b"key").payload(b"30");
        producer.send(record).map_err(|(error, _)| error).unwrap();
        producer.flush(PATIENCE).unwrap();

        let member = fixture.member();
        let start = Instant::now();
        loop {
            if let Some(Ok(record)) = member.poll(Duration::from_millis(100)) {
                assert_eq!((record.partition(), record.offset()), (1, 0));
                assert_eq!((record.key(), record.payload()), (Some(&b"key"[..]), Some(&b"30"[..])));
                break;
            }
            assert!(start.elapsed() < PATIENCE, "the record did not come");
        }
        let mut offsets = TopicPartitionList::new();
        let mut partition = offsets.add_partition(&topic, 1);
        partition.set_offset(Offset::Offset(1)).unwrap();
        partition.set_metadata("done above");
        member.commit(&offsets, CommitMode::Sync).unwrap();
        let committed = member.committed(PATIENCE).unwrap();
        let committed = committed.find_partition(&topic, 1).unwrap();
        assert_eq!((committed.offset(), committed.metadata()), (Offset::Offset(1), "done above"));
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn it_is_known_for_what_it_is_and_its_topics_come_by_asking() {
        let fixture = Fixture::new().await;
        let pipeline = fixture.pipeline.clone();
        let admin = tokio::task::spawn_blocking(move || Admin::new(&settings::common(&pipeline)).unwrap())
            .await
            .unwrap();
        assert!(admin.is_embedded());
        let limits = admin.ensure_topics(&fixture.pipeline).await.unwrap();
        assert_eq!(limits.results, [1_048_588]);
        let names: Vec<_> = admin.list().unwrap().into_iter().map(|topic| topic.name).collect();
        assert_eq!(names, ["factorials-to-be-calculated", "factorials-to-be-calculated.dlq"]);
        let error = admin.delete(&names[0]).await.unwrap_err().to_string();
        assert!(error.contains("keeps its topics until its process exits"), "{error}");
    }

    #[tokio::test]
    async fn a_port_that_is_taken_is_left_alone() {
        let first = EmbeddedBroker::start(0).await.unwrap();
        let second = EmbeddedBroker::start(first.address().port()).await.unwrap();
        assert_ne!(first.address(), second.address());
    }
}
