//! Results that are kept, within a limit of bytes.

use std::sync::Arc;

use lru::LruCache;

use super::{Question, Reply};
use crate::pieces::Place;

/// What an entry costs besides question and value, in bytes.
const ENTRY: u64 = 256;

/// As many results as fit; the least recently used one goes first.
pub struct Cache {
    answers: LruCache<Question, Arc<Reply>>,
    bytes: u64,
    limit: u64,
}

impl Cache {
    /// A cache of at most `limit` bytes; it keeps nothing where that is 0.
    pub fn new(limit: u64) -> Self {
        Cache { answers: LruCache::unbounded(), bytes: 0, limit }
    }

    /// The result, if it is kept.
    pub fn get(&mut self, question: &Question) -> Option<Arc<Reply>> {
        self.answers.get(question).cloned()
    }

    /// Keeps no result for this question any more.
    pub fn remove(&mut self, question: &Question) {
        if let Some((question, reply)) = self.answers.pop_entry(question) {
            self.bytes -= size(&question, &reply);
        }
    }

    /// Keeps a result, instead of an older one for the same question.
    pub fn put(&mut self, question: Question, reply: Arc<Reply>) {
        let needed = size(&question, &reply);
        if needed > self.limit {
            return;
        }
        self.bytes += needed;
        if let Some((question, before)) = self.answers.push(question, reply) {
            self.bytes -= size(&question, &before);
        }
        while self.bytes > self.limit
            && let Some((question, oldest)) = self.answers.pop_lru()
        {
            self.bytes -= size(&question, &oldest);
        }
    }
}

fn size(question: &Question, reply: &Reply) -> u64 {
    let question = match question {
        Question::Number(_) => 0,
        Question::Value(value) => value.len(),
    };
    let manifest = reply.pieces.as_ref().map_or(0, |manifest| match &manifest.place {
        Place::Topic(pieces) => ENTRY + 8 * pieces.pieces,
        Place::Store { .. } => ENTRY,
    });
    ENTRY + manifest + (question + reply.value.len()) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(value: &'static str) -> Arc<Reply> {
        Arc::new(Reply { value: value.into(), partition: 0, offset: 0, worker: None, pieces: None })
    }

    fn number(n: u64) -> Question {
        Question::Number(n)
    }

    #[test]
    fn what_was_not_asked_for_the_longest_makes_room() {
        let mut cache = Cache::new(2 * (ENTRY + 3));
        cache.put(number(1), reply("one"));
        cache.put(number(2), reply("two"));
        assert_eq!(cache.get(&number(1)).unwrap().value, "one");
        cache.put(number(3), reply("six"));
        assert_eq!(cache.get(&number(2)), None);
        assert_eq!(cache.get(&number(1)).unwrap().value, "one");
        assert_eq!(cache.get(&number(3)).unwrap().value, "six");
        assert_eq!(cache.bytes, cache.limit);
    }

    #[test]
    fn an_answer_takes_the_place_of_an_older_one_and_what_is_too_large_is_not_kept() {
        let mut cache = Cache::new(ENTRY + 5);
        cache.put(number(1), reply("one"));
        cache.put(number(1), reply("first"));
        assert_eq!((cache.get(&number(1)).unwrap().value.as_ref(), cache.bytes), (&b"first"[..], ENTRY + 5));
        cache.put(number(2), reply("second"));
        assert_eq!(cache.get(&number(2)), None);
        assert!(cache.get(&number(1)).is_some());
        cache.remove(&number(1));
        cache.remove(&number(1));
        assert_eq!((cache.get(&number(1)), cache.bytes), (None, 0));
        let mut none = Cache::new(0);
        none.put(number(1), reply(""));
        assert_eq!((none.get(&number(1)), none.bytes), (None, 0));
    }
}
