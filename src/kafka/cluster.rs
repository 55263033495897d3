//! What a cluster consists of, for those who ask its brokers themselves.

use std::collections::BTreeMap;

use super::{Admin, AdminError};

impl Admin {
    /// The hosts and ports of the brokers that are there now, by their ids. Blocks.
    ///
    /// # Errors
    /// Where no broker answers.
    pub fn brokers(&self) -> Result<BTreeMap<i32, (String, u16)>, AdminError> {
        let metadata = self.metadata(None)?;
        let address = |broker: &rdkafka::metadata::MetadataBroker| {
            // A port that is none cannot be connected to, and then the broker is named.
            (broker.id(), (broker.host().to_owned(), u16::try_from(broker.port()).unwrap_or_default()))
        };
        Ok(metadata.brokers().iter().map(address).collect())
    }

    /// A setting of the brokers, by its name; `None` where this user may not see it. Blocks.
    pub fn setting_of_brokers(&self, name: &str) -> Option<String> {
        futures::executor::block_on(self.broker_setting(name))
    }
}
