//! librdkafka's own mock cluster as a broker for a first look: in this process, on loopback, in memory.
//!
//! It has no admin API, no isolation of transactions and no fencing, so it is for at-least-once alone.

use std::{
    ffi::CString,
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
};

use rdkafka::{
    ClientConfig, bindings as rd,
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

/// Why the embedded broker cannot be had.
#[derive(Error, Debug)]
#[error("the embedded broker cannot start: {0}")]
pub struct EmbeddedError(String);

/// A broker that lives as long as this.
pub struct EmbeddedBroker {
    /// Owns the cluster.
    client: BaseProducer,
    address: SocketAddr,
    forwarder: JoinHandle<()>,
}

impl EmbeddedBroker {
    /// Starts one, at 127.0.0.1 and that port if it is free, else at another.
    ///
    /// # Errors
    /// Where the cluster or the port cannot be had.
    pub async fn start(port: u16) -> Result<Self, EmbeddedError> {
        let client: BaseProducer = ClientConfig::new()
            .set("test.mock.num.brokers", "1")
            .create()
            .map_err(|error| EmbeddedError(error.to_string()))?;
        // SAFETY: the client is live, and owns the cluster that it gives.
        unsafe {
            let cluster = rd::rd_kafka_handle_mock_cluster(client.client().native_ptr());
            // A group of one process need not wait 3 s for others to join.
            rd::rd_kafka_mock_group_initial_rebalance_delay_ms(cluster, 100);
        }
        let servers = client.client().mock_cluster().map(|cluster| cluster.bootstrap_servers());
        let servers = servers.ok_or_else(|| EmbeddedError("it has no address".to_owned()))?;
        let target: SocketAddr =
            servers.parse().map_err(|_| EmbeddedError(format!("it listens at {servers}")))?;
        let listener = match TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await {
            Ok(listener) => Ok(listener),
            Err(_) => TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await,
        };
        let listener = listener.map_err(|error| EmbeddedError(error.to_string()))?;
        let address = listener.local_addr().map_err(|error| EmbeddedError(error.to_string()))?;
        let forwarder = tokio::spawn(forward(listener, target));
        Ok(EmbeddedBroker { client, address, forwarder })
    }

    /// Where it is reached.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Creates a topic.
    ///
    /// # Errors
    /// Where the cluster refuses.
    pub fn create_topic(&self, topic: &str, partitions: i32) -> Result<(), EmbeddedError> {
        let name = CString::new(topic).map_err(|error| EmbeddedError(error.to_string()))?;
        // SAFETY: as in `start`; the name outlives the call.
        let err = unsafe {
            let cluster = rd::rd_kafka_handle_mock_cluster(self.client.client().native_ptr());
            rd::rd_kafka_mock_topic_create(cluster, name.as_ptr(), partitions, 1)
        };
        match err {
            rd::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR
            | rd::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS => Ok(()),
            err => Err(EmbeddedError(format!("{topic}: {}", rdkafka::types::RDKafkaErrorCode::from(err)))),
        }
    }
}

impl Drop for EmbeddedBroker {
    fn drop(&mut self) {
        self.forwarder.abort();
    }
}

/// The cluster chooses its own port and tells clients about it; they only have to find it once.
async fn forward(listener: TcpListener, target: SocketAddr) {
    let room = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let Ok(permit) = room.clone().acquire_owned().await else { return };
        let Ok((mut client, _)) = listener.accept().await else { continue };
        tokio::spawn(async move {
            if let Ok(mut broker) = TcpStream::connect(target).await {
                // Either side may hang up at any time.
                let _ = tokio::io::copy_bidirectional(&mut client, &mut broker).await;
            }
            drop(permit);
        });
    }
}
