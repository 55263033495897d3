//! Kafka's clients: implements the engine's [`Source`](crate::engine::Source) and
//! [`Sink`](crate::engine::Sink), and the clients of the gateway, the load generator and the verifier.
//!
//! Knows: config, control, engine, format, gateway, load, pieces, plant, record, state, store, telemetry, trace. Must not know: operator, clap.

mod admin;
mod answers;
mod cluster;
mod complaints;
mod control;
mod described;
mod embedded;
mod events;
mod exchange;
mod fetch_queue;
mod follow;
mod gateway;
mod group;
mod group_offsets;
mod history;
mod load_target;
mod log;
mod offsets;
mod pace;
mod permanent;
mod pieces;
mod places;
mod poll;
mod producer;
mod reach;
mod rebalance;
mod request_client;
mod request_producer;
mod rights;
pub mod settings;
mod shares;
mod signs;
mod sink;
#[cfg(test)]
mod sink_tests;
mod source;
mod starts;
mod statistics;
mod stillness;
mod survey;
mod tap;
mod threads;
mod topics;
mod transaction;
mod under_way;
mod until;
pub mod verify;

pub use admin::{Admin, AdminError, PartitionDescription, TopicDescription};
pub use control::{ControlError, ControlFollowing, ControlGroup, follow_control};
pub use embedded::{EmbeddedBroker, EmbeddedError};
pub use exchange::{RequestError, RequestTopics};
pub use follow::{Following, follow};
pub use gateway::{GatewayClients, GatewayError};
pub use group::Group;
pub use group_offsets::{GroupOffset, GroupOffsets};
pub use history::Ends;
pub use load_target::KafkaTarget;
pub use log::{log, log_error};
pub use pace::Throttle;
pub use pieces::{LargeResults, PieceError, PieceReader};
pub use request_client::{RequestClient, RequestEvent};
pub use request_producer::Acknowledgement;
pub use sink::{KafkaSink, SinkTopics};
pub use source::{KafkaSource, SourceTopics};
pub use survey::Survey;

pub use tap::{Begin, Tap};
pub use topics::{CHANGELOG_TOMBSTONES, TopicLimits};
pub use under_way::{UnderWayReader, UnderWaySink};
pub use until::Until;
