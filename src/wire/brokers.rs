//! The brokers of a cluster, each with a connection once it is asked.

use std::collections::{BTreeMap, btree_map::Entry};

use super::{Connection, Security, WireError};

/// All brokers, by their ids.
pub struct Brokers {
    security: Security,
    client: String,
    addresses: BTreeMap<i32, (String, u16)>,
    open: BTreeMap<i32, Connection>,
}

impl Brokers {
    /// Those at these hosts and ports, by id. `client` is the name that they see.
    pub fn new(security: Security, client: &str, addresses: BTreeMap<i32, (String, u16)>) -> Self {
        Brokers { security, client: client.to_owned(), addresses, open: BTreeMap::new() }
    }

    /// Their ids.
    pub fn ids(&self) -> Vec<i32> {
        self.addresses.keys().copied().collect()
    }

    /// The broker of that id, connected.
    ///
    /// # Errors
    /// It cannot be reached, or does not let this user in.
    pub fn at(&mut self, id: i32) -> Result<&mut Connection, WireError> {
        match self.open.entry(id) {
            Entry::Occupied(open) => Ok(open.into_mut()),
            Entry::Vacant(none) => {
                let (host, port) = self.addresses.get(&id).ok_or(WireError::NoBroker(id))?;
                Ok(none.insert(Connection::open(host, *port, &self.security, &self.client)?))
            }
        }
    }

    /// Has the next request to that broker make a new connection: this one may be in the middle of an answer.
    pub fn forget(&mut self, id: i32) {
        self.open.remove(&id);
    }

    /// The same for all of them.
    pub fn forget_all(&mut self) {
        self.open.clear();
    }
}
