use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use rdkafka::ClientConfig;

use crate::{
    format::Format,
    kafka::{Exchange, Listener, RequestError, RequestTopics},
    load::{Answer, Book, Reading, Request, Target, Topics},
};

/// So long is waited for a second answer after the last one: an answer that was written is read within it.
const AFTERMATH: Duration = Duration::from_secs(1);

/// Asks workers, by a record with an id in its header, which goes on to the result.
pub struct KafkaTarget {
    exchange: Exchange,
    book: Arc<Book>,
    format: Format,
}

impl KafkaTarget {
    /// Clients for these topics. Blocks until they stand at the topics' ends.
    ///
    /// # Errors
    /// Where the brokers do not answer, or a topic is not there.
    pub fn new(config: &ClientConfig, topics: &Topics, book: Arc<Book>) -> Result<Self, RequestError> {
        let listener = Told { book: book.clone(), format: topics.result_format };
        let names = RequestTopics {
            requests: topics.requests.clone(),
            results: topics.results.clone(),
            dead_letters: topics.dead_letters.clone(),
        };
        let exchange = Exchange::new(config, names, book.timeout(), Arc::new(listener))?;
        Ok(KafkaTarget { exchange, book, format: topics.request_format })
    }
}

impl Target for KafkaTarget {
    fn send(&self, request: Request) -> Result<(), String> {
        let id = self.book.run().id(request.number);
        self.exchange
            .send(request.number, &id, &self.format.encode_request(request.n))
            .map_err(|reason| format!("not sent: {reason}"))
    }

    fn aftermath(&self) -> Duration {
        AFTERMATH
    }
}

/// What the clients tell, on their way into the book.
struct Told {
    book: Arc<Book>,
    format: Format,
}

impl Listener for Told {
    fn acknowledged(&self, request: u64, reason: Result<(), String>, at: Instant) {
        match reason {
            Ok(()) => self.book.acknowledged(request, at),
            Err(reason) => self.book.not_produced(request, &format!("not produced: {reason}")),
        }
    }

    fn answered(&self, id: &[u8], value: Result<&[u8], &str>, at: Instant) {
        let Some(number) = self.book.run().number(id) else { return };
        match value {
            Ok(value) => self.book.answered(number, result(self.format, value), at),
            Err(class) => self.book.answered(number, Answer::Failed(&format!("dead letter: {class}")), at),
        }
    }
}

/// Reads a result. Digits in text are read where they are, the others are unpacked first.
fn result(format: Format, value: &[u8]) -> Answer<'static> {
    let read = |digits: &[u8]| {
        let mut reading = Reading::default();
        reading.take(digits).then(|| reading.fingerprint())?
    };
    if format == Format::Text {
        let at = value.iter().position(|byte| *byte == b';');
        let (n, digits) = at.map_or((&[][..], &[][..]), |at| (&value[..at], &value[at + 1..]));
        let n = Format::Text.decode_request(n).ok();
        return Answer::Result { n, digits: n.and_then(|_| read(digits)) };
    }
    match format.decode_result(value) {
        Ok((n, digits)) => Answer::Result { n: Some(n), digits: read(digits.as_bytes()) },
        Err(_) => Answer::Result { n: None, digits: None },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::Expected;

    #[test]
    fn a_result_is_read_in_every_format() {
        let expected = Expected::up_to(30).of(30);
        let factorial = crate::factorial::factorial(30);
        for format in [Format::Text, Format::Json, Format::Bincode] {
            let answer = result(format, &format.encode_result(30, &factorial));
            assert_eq!(answer, Answer::Result { n: Some(30), digits: Some(expected) }, "{format:?}");
        }
    }

    #[test]
    fn what_is_no_result_has_no_digits() {
        for value in ["", "30", "30;", ";5", "x;5", "3;6x"] {
            let Answer::Result { digits, .. } = result(Format::Text, value.as_bytes()) else { panic!() };
            assert_eq!(digits, None, "{value}");
        }
    }
}
