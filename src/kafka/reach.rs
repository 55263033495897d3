//! Reaches a cluster for the first time, and says why where that fails.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use rdkafka::{
    ClientConfig, ClientContext,
    config::RDKafkaLogLevel,
    error::{KafkaError, RDKafkaErrorCode as Code},
    producer::{BaseProducer, Producer, ProducerContext},
};

use super::{
    AdminError,
    complaints::{hung_up, no_way_in},
};
use crate::telemetry::announce;

/// How long the first attempt to reach a broker takes, before librdkafka's complaints are looked at.
const ATTEMPT: Duration = Duration::from_secs(1);
/// How long to wait for librdkafka's complaints about an attempt.
const LISTEN: Duration = Duration::from_millis(20);

/// Waits until a broker answers. Uses a producer, as an admin client does not report what goes wrong.
///
/// # Errors
/// At once where waiting does not help, and where no broker answers within the limit.
pub fn reach(config: &ClientConfig, servers: &str, limit: Duration) -> Result<(), AdminError> {
    let probe: BaseProducer<Complaints> = config
        .create_with_context(Complaints::default())
        .map_err(|error| AdminError::Client(error.to_string()))?;
    let give_up = Instant::now() + limit;
    let (mut attempt, mut said) = (ATTEMPT, false);
    while probe.client().fetch_metadata(None, attempt).is_err() {
        // The metadata of a large cluster may take longer.
        attempt *= 2;
        probe.poll(LISTEN);
        let complaint = probe.client().context().last();
        if let Some(reason) = complaint.as_ref().and_then(|(code, text)| no_way_in(*code, text)) {
            return Err(AdminError::NoWayIn { servers: servers.to_owned(), reason });
        }
        if Instant::now() < give_up && !said {
            said = true;
            announce(&format!("no Kafka answers at {servers} yet; trying for {limit:?}"));
        }
        if Instant::now() >= give_up {
            let reason = complaint.map_or_else(String::new, |(_, text)| hung_up(&text));
            return Err(AdminError::no_broker(servers, &reason));
        }
    }
    Ok(())
}

/// Remembers what librdkafka last complained about.
#[derive(Default)]
struct Complaints(Mutex<Option<(Code, String)>>);

impl Complaints {
    fn last(&self) -> Option<(Code, String)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn add(&self, code: Code, text: &str) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((code, text.to_owned()));
    }
}

impl ClientContext for Complaints {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, line: &str) {
        // A broker that hangs up is logged, and is no error event, as it often only restarts.
        if facility == "FAIL" && line.contains("Disconnected") && self.last().is_none() {
            self.add(Code::BrokerTransportFailure, line);
        }
        super::log(level, facility, line);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        // That all brokers are down says less than the complaints about each.
        if let KafkaError::Global(code) = error
            && code != Code::AllBrokersDown
        {
            self.add(code, reason);
        }
    }
}

impl ProducerContext for Complaints {
    type DeliveryOpaque = ();

    fn delivery(&self, _: &rdkafka::producer::DeliveryResult<'_>, (): ()) {}
}
