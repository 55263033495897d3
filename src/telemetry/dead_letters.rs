//! Warns of dead letters: of the first of each class at once, of more of them once a minute.

use std::{collections::BTreeMap, time::Duration};

use crate::record::{Record, error};

/// How long nothing more is said of a class.
const SILENCE: Duration = Duration::from_secs(60);

/// What was said of each class, and what has come since.
#[derive(Default)]
pub struct DeadLetterLog(BTreeMap<Vec<u8>, Lately>);

struct Lately {
    said: Duration,
    more: u64,
    /// The first of those.
    example: String,
}

impl DeadLetterLog {
    /// Takes a dead letter that goes to that topic. Returns the warning, if it is the first of its class.
    pub fn add(&mut self, letter: &Record, topic: &str, now: Duration) -> Option<String> {
        let class = letter.headers.get(error::CLASS).unwrap_or_default();
        let Some(lately) = self.0.get_mut(class) else {
            let lately = Lately { said: now, more: 0, example: String::new() };
            self.0.insert(class.to_vec(), lately);
            return Some(format!("a dead letter: {}; it goes to {topic}", describe(letter)));
        };
        if lately.more == 0 {
            lately.example = describe(letter);
        }
        lately.more += 1;
        None
    }

    /// The warnings that are due: those of classes of which nothing was said for a minute, or of all that have more.
    pub fn due(&mut self, topic: &str, now: Duration, all: bool) -> Vec<String> {
        let is_due = |lately: &&mut Lately| lately.more > 0 && (all || now >= lately.said + SILENCE);
        let due = self.0.values_mut().filter(is_due);
        let say = |lately: &mut Lately| {
            let Lately { more, example, .. } =
                std::mem::replace(lately, Lately { said: now, more: 0, example: String::new() });
            match more {
                1 => format!("a dead letter: {example}; it goes to {topic}"),
                _ => format!("{more} dead letters like this one: {example}; they go to {topic}"),
            }
        };
        due.map(say).collect()
    }
}

/// The class, what was wrong, and where the record was read. It is one line whatever the record has in it.
fn describe(letter: &Record) -> String {
    let header = |name| String::from_utf8_lossy(letter.headers.get(name).unwrap_or_default());
    let text = format!(
        "{}: {} (topic {}, partition {}, offset {})",
        header(error::CLASS),
        header(error::MESSAGE),
        header(error::TOPIC),
        header(error::PARTITION),
        header(error::OFFSET)
    );
    text.replace(char::is_control, " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn letter(class: &str, message: &str, offset: &str) -> Record {
        let headers = [
            (error::CLASS, class),
            (error::MESSAGE, message),
            (error::TOPIC, "orders"),
            (error::PARTITION, "3"),
            (error::OFFSET, offset),
        ];
        let headers = headers.map(|(name, value)| (name, value.as_bytes().to_vec()));
        Record { headers: headers.into_iter().collect(), ..Record::default() }
    }

    #[test]
    fn the_first_of_a_class_is_said_at_once_and_the_rest_once_a_minute_with_their_number() {
        let mut log = DeadLetterLog::default();
        let seconds = Duration::from_secs;
        let first = log.add(&letter("not-json", "it is\nbad", "7"), "orders.dlq", seconds(5));
        let said =
            "a dead letter: not-json: it is bad (topic orders, partition 3, offset 7); it goes to orders.dlq";
        assert_eq!(first.as_deref(), Some(said));
        assert_eq!(log.add(&letter("not-json", "it is bad too", "8"), "orders.dlq", seconds(6)), None);
        assert_eq!(log.add(&letter("not-json", "and this", "9"), "orders.dlq", seconds(7)), None);
        let other = log.add(&letter("empty", "nothing", "10"), "orders.dlq", seconds(8));
        assert!(other.unwrap().contains("empty: nothing"), "each class for itself");

        assert_eq!(log.due("orders.dlq", seconds(64), false), [""; 0]);
        let more = "2 dead letters like this one: not-json: it is bad too (topic orders, partition 3, offset 8); \
                    they go to orders.dlq";
        assert_eq!(log.due("orders.dlq", seconds(65), false), [more]);
        assert_eq!(log.due("orders.dlq", seconds(200), false), [""; 0]);

        assert_eq!(log.add(&letter("not-json", "late", "11"), "orders.dlq", seconds(201)), None);
        let late =
            "a dead letter: not-json: late (topic orders, partition 3, offset 11); it goes to orders.dlq";
        assert_eq!(log.due("orders.dlq", seconds(201), false), [late]);
        assert_eq!(log.add(&letter("not-json", "at the end", "12"), "orders.dlq", seconds(202)), None);
        assert_eq!(log.due("orders.dlq", seconds(202), true).len(), 1);
        assert_eq!(log.due("orders.dlq", seconds(202), true), [""; 0]);
    }
}
