//! The target of `pipeline load` that reaches workers through their topics.

use std::{
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use bytes::Bytes;
use rdkafka::{ClientConfig, Message, message::BorrowedMessage};

use super::{
    LargeResults, PieceError,
    exchange::{Exchange, Listener, RequestError, RequestTopics, correlation_id, header},
    request_producer::Acknowledgement,
};
use crate::{
    format::Format,
    load::{Answer, Book, Fingerprint, PlannedRequest, Reading, Target, TargetTopics},
    pieces::Manifest,
    record::{CORRELATION_ID, MANIFEST, PIECE, error},
    store::Store,
};

/// How long after the last answer a second one may still come: an answer that was written is read within this
/// time.
const AFTERMATH: Duration = Duration::from_secs(1);

/// Sends requests to workers as records with an id in a header, which the results have too.
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
    pub fn new(
        config: &ClientConfig,
        topics: &TargetTopics,
        store: Option<Store>,
        book: Arc<Book>,
    ) -> Result<Self, RequestError> {
        let large = LargeResults { config: config.clone(), topic: topics.results.clone(), store };
        let listener = Reports { book: book.clone(), format: topics.result_format.clone(), large };
        let names = RequestTopics {
            requests: topics.requests.clone(),
            results: topics.results.clone(),
            dead_letters: topics.dead_letters.clone(),
        };
        let exchange = Exchange::new(config, names, book.timeout(), Arc::new(listener))?;
        Ok(KafkaTarget { exchange, book, format: topics.request_format.clone() })
    }
}

impl Target for KafkaTarget {
    /// Produces a request, with its id as header and as key: requests are spread over the partitions, and
    /// results and dead letters have both.
    fn send(&self, request: PlannedRequest) -> Result<(), String> {
        let id = self.book.run().id(request.number);
        let value = self.format.encode_request(request.n).map_err(|error| format!("not sent: {error}"))?;
        match self.exchange.send(
            request.number as usize,
            Some(id.as_bytes()),
            &value,
            Some(correlation_id(id.as_bytes())),
        ) {
            Ok(true) => Ok(()),
            Ok(false) => Err("not sent: the producer's queue is full".to_owned()),
            Err(reason) => Err(format!("not sent: {reason}")),
        }
    }

    fn aftermath(&self) -> Duration {
        AFTERMATH
    }
}

/// Passes what the clients report into the book.
struct Reports {
    book: Arc<Book>,
    format: Format,
    large: LargeResults,
}

impl Reports {
    /// The number of the request that the record answers, if it is one of this run.
    fn number(&self, record: &BorrowedMessage<'_>) -> Option<u64> {
        self.book.run().number(header(record, CORRELATION_ID)?)
    }
}

impl Reports {
    /// Reads a result in pieces on a thread of its own, so that it does not hold up the others' times. It has been answered once
    /// all of it is there.
    fn read_pieces(&self, number: u64, manifest: &[u8]) {
        let reader = Manifest::read(manifest).and_then(|manifest| {
            if self.format != Format::Text {
                return Err(format!("a result in pieces is read as text, and it is {}", manifest.format));
            }
            let all = manifest.all();
            self.large.read(manifest, all).map_err(|error| error.to_string())
        });
        let book = self.book.clone();
        thread::spawn(move || {
            let read = reader.and_then(|mut reader| in_pieces(&mut reader));
            match &read {
                Ok((n, digits)) => {
                    book.answered(number, Answer::Result { n: *n, digits: *digits }, Instant::now());
                }
                Err(reason) => book.answered(number, Answer::Failed(reason), Instant::now()),
            }
        });
    }
}

impl Listener for Reports {
    fn acknowledged(&self, Acknowledgement { request, place, at }: Acknowledgement) {
        match place {
            Ok(_) => self.book.acknowledged(request as u64, at),
            Err(reason) => self.book.not_produced(request as u64, &format!("not produced: {reason}")),
        }
    }

    fn result(&self, record: &BorrowedMessage<'_>) -> bool {
        let at = Instant::now();
        let Some(number) = self.number(record).filter(|_| header(record, PIECE).is_none()) else {
            return true;
        };
        if header(record, MANIFEST).is_some() {
            self.read_pieces(number, record.payload().unwrap_or_default());
        } else {
            self.book.answered(number, result(&self.format, record.payload().unwrap_or_default()), at);
        }
        true
    }

    fn dead_letter(&self, record: &BorrowedMessage<'_>) -> bool {
        let at = Instant::now();
        if let Some(number) = self.number(record) {
            let class = String::from_utf8_lossy(header(record, error::CLASS).unwrap_or(b"unknown"));
            self.book.answered(number, Answer::Failed(&format!("dead letter: {class}")), at);
        }
        true
    }
}

/// Reads a result. Text is read in place; the other formats are decoded first.
fn result(format: &Format, value: &[u8]) -> Answer<'static> {
    let read = |digits: &[u8]| {
        let mut reading = Reading::default();
        reading.take(digits).then(|| reading.fingerprint())?
    };
    if *format == Format::Text {
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

/// Reads a result in pieces, which are text: its n, and the digits' fingerprint.
fn in_pieces(
    pieces: &mut impl Iterator<Item = Result<Bytes, PieceError>>,
) -> Result<(Option<u64>, Option<Fingerprint>), String> {
    let (mut n, mut reading, mut are_digits) = (None, Reading::default(), true);
    for (place, piece) in pieces.enumerate() {
        let piece = piece.map_err(|error| error.to_string())?;
        let mut digits = &piece[..];
        if place == 0 {
            let at = piece.iter().position(|byte| *byte == b';').unwrap_or(0);
            n = Format::Text.decode_request(&piece[..at]).ok();
            digits = piece.get(at + 1..).unwrap_or_default();
        }
        are_digits &= reading.take(digits);
    }
    Ok((n, (n.is_some() && are_digits).then(|| reading.fingerprint()).flatten()))
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
            let answer = result(&format, &format.encode_result(30, &factorial).unwrap());
            assert_eq!(answer, Answer::Result { n: Some(30), digits: Some(expected) }, "{format:?}");
        }
    }

    #[test]
    fn a_result_in_pieces_is_read_as_one() {
        let expected = Expected::up_to(30).of(30);
        let read = |pieces: &[&str]| {
            in_pieces(&mut pieces.iter().map(|piece| Ok(Bytes::copy_from_slice(piece.as_bytes())))).unwrap()
        };
        assert_eq!(read(&["30;26525285981219105", "8636308480", "000000"]), (Some(30), Some(expected)));
        assert_ne!(read(&["30;26525285981219105", "8636308480", "000001"]).1, Some(expected));
        assert_eq!(read(&["30;2652528598121910x", "8636308480"]), (Some(30), None));
        assert_eq!(read(&["265252859812191058636308480000000"]), (None, None));
        let late = || std::iter::once(Err(PieceError::Late));
        assert!(in_pieces(&mut late()).unwrap_err().contains("no broker has answered"));
    }

    #[test]
    fn what_is_no_result_has_no_digits() {
        for value in ["", "30", "30;", ";5", "x;5", "3;6x"] {
            let Answer::Result { digits, .. } = result(&Format::Text, value.as_bytes()) else { panic!() };
            assert_eq!(digits, None, "{value}");
        }
    }
}
