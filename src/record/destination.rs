//! Where a record goes, and what is kept for each such topic.

use std::ops::{Index, IndexMut};

/// Which of the sink's topics a result goes to: 0 is the sink's own, and the routes' follow in the file's order.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug)]
pub struct ResultTopic(pub u16);

/// Where a record goes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Destination {
    /// A result topic.
    Result(ResultTopic),
    /// The dead-letter topic.
    DeadLetter,
}

impl Destination {
    /// The sink's own topic.
    pub const SINK: Destination = Destination::Result(ResultTopic(0));
}

/// Something for each topic that is written to.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct PerTopic<T> {
    /// For the sink's topics, by their [`ResultTopic`]; never empty.
    pub results: Vec<T>,
    /// For the dead-letter topic.
    pub dead_letters: T,
}

impl<T> PerTopic<T> {
    /// What `make` makes of each.
    pub fn map<U>(&self, mut make: impl FnMut(&T) -> U) -> PerTopic<U> {
        PerTopic {
            results: self.results.iter().map(&mut make).collect(),
            dead_letters: make(&self.dead_letters),
        }
    }

    /// Each, the results' first.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.results.iter().chain([&self.dead_letters])
    }

    /// Each with where it is.
    pub fn destinations(&self) -> impl Iterator<Item = (Destination, &T)> {
        let results = (0..).map(|place| Destination::Result(ResultTopic(place))).zip(&self.results);
        results.chain([(Destination::DeadLetter, &self.dead_letters)])
    }
}

impl<T> Index<Destination> for PerTopic<T> {
    type Output = T;

    fn index(&self, to: Destination) -> &T {
        match to {
            Destination::Result(ResultTopic(place)) => &self.results[usize::from(place)],
            Destination::DeadLetter => &self.dead_letters,
        }
    }
}

impl<T> IndexMut<Destination> for PerTopic<T> {
    fn index_mut(&mut self, to: Destination) -> &mut T {
        match to {
            Destination::Result(ResultTopic(place)) => &mut self.results[usize::from(place)],
            Destination::DeadLetter => &mut self.dead_letters,
        }
    }
}
