//! Who is asked: workers through their topics, or whoever answers over HTTP.

mod http;
mod kafka;

pub use http::HttpTarget;
pub use kafka::KafkaTarget;
