//! The requests of a run: each is known by its number, and the same seed makes the same ones.

use fastrand::Rng;

use crate::{
    config::{Pipeline, Step},
    format::Format,
    record::{Headers, Record},
};

/// The header with a request's number; its results and dead letters have it too.
pub const NUMBER: &str = "verify-request";

/// The number of keys: enough for all partitions, few enough that a key's requests follow each other closely.
const KEYS: u32 = 400;
/// One request in this many is bad input.
const BAD: u32 = 100;
/// Operators that take numbers.
const NUMERIC: [&str; 3] = ["factorial", "filter", "identity"];

/// The requests of a run, made from its seed.
#[derive(Clone, Debug)]
pub struct Requests {
    seed: u64,
    /// The user's values; empty: numbers.
    samples: Vec<String>,
    format: Format,
}

impl Requests {
    /// Requests for that pipeline, with values from `samples`. If that is empty, they are numbers where the pipeline takes
    /// numbers, and otherwise those of its own test cases.
    ///
    /// # Errors
    /// The pipeline takes other values than numbers, and there are neither samples nor test cases.
    pub fn new(pipeline: &Pipeline, seed: u64, mut samples: Vec<String>) -> Result<Self, String> {
        let numeric = |step: &Step| NUMERIC.contains(&step.kind);
        if samples.is_empty() && !(pipeline.routes.is_empty() && pipeline.steps.iter().all(numeric)) {
            let inputs = pipeline.tests.iter().flat_map(|case| &case.input);
            samples = inputs.filter_map(|record| record.value.clone()).collect();
            if samples.is_empty() {
                return Err(
                    "no values are known that this pipeline takes: add a [[test]] with some to its file, or name a \
                     file of values with --samples, one a line"
                        .to_owned(),
                );
            }
        }
        let format = pipeline.source.format.clone();
        if samples.is_empty() {
            format.encode_request(0).map_err(|error| format!("no request can be made: {error}"))?;
        }
        Ok(Requests { seed, samples, format })
    }

    /// The request with that number.
    pub fn request(&self, number: u32) -> Record {
        let mut rng = Rng::with_seed(self.seed ^ u64::from(number).wrapping_mul(0x9E37_79B9_7F4A_7C15));
        let key = rng.u32(..KEYS);
        let keyed = rng.u32(..20) > 0;
        let value = if rng.u32(..BAD) == 0 { bad(&mut rng) } else { Some(self.good(&mut rng)) };
        let headers: Headers = [(NUMBER, number.to_string())].into_iter().collect();
        Record {
            key: keyed.then(|| format!("key-{key}").into()),
            value: value.map(Into::into),
            headers,
            ..Record::default()
        }
    }

    fn good(&self, rng: &mut Rng) -> Vec<u8> {
        if !self.samples.is_empty() {
            return self.samples[rng.usize(..self.samples.len())].clone().into_bytes();
        }
        // Mostly small ones, so that records matter and not bytes; some that take a while.
        let n = match rng.u32(..1_000) {
            0..5 => rng.u64(2_000..10_000),
            5..50 => rng.u64(300..2_000),
            _ => rng.u64(..300),
        };
        // That a request can be made was seen at the start.
        self.format.encode_request(n).unwrap_or_default()
    }
}

/// Values that no operator takes as a number; one is a tombstone.
fn bad(rng: &mut Rng) -> Option<Vec<u8>> {
    let bad: [Option<&[u8]>; 6] =
        [Some(b"abc"), Some(b"-7"), Some(b""), Some(b"999999999999"), Some(b"\xff\xfe\x00"), None];
    bad[rng.usize(..bad.len())].map(<[u8]>::to_vec)
}

/// The number of the request that a result or dead letter belongs to.
pub fn number_of(record: &Record) -> Option<u32> {
    record.headers.number(NUMBER)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::load;

    fn requests(seed: u64, samples: &[&str]) -> Requests {
        let (pipeline, _) = load("factorial.toml", &[]).unwrap();
        Requests::new(&pipeline, seed, samples.iter().map(|sample| (*sample).to_owned()).collect()).unwrap()
    }

    #[test]
    fn the_same_seed_asks_the_same_and_each_request_says_its_number() {
        let [one, two, other] = [requests(7, &[]), requests(7, &[]), requests(8, &[])];
        for number in 0..1_000 {
            assert_eq!(one.request(number), two.request(number));
            assert_eq!(number_of(&one.request(number)), Some(number));
        }
        assert!((0..100).any(|number| one.request(number) != other.request(number)));
    }

    #[test]
    fn good_and_bad_keyed_and_keyless_are_mixed() {
        let requests = requests(7, &[]);
        let all: Vec<Record> = (0..10_000).map(|number| requests.request(number)).collect();
        let number = |record: &&Record| {
            record
                .value
                .as_deref()
                .and_then(|value| std::str::from_utf8(value).ok()?.parse::<u64>().ok())
                .is_some_and(|n| n < 10_000)
        };
        let good = all.iter().filter(number).count();
        assert!((9_850..9_950).contains(&good), "{good}");
        let tombstones = all.iter().filter(|record| record.value.is_none()).count();
        assert!((5..50).contains(&tombstones), "{tombstones}");
        let keyless = all.iter().filter(|record| record.key.is_none()).count();
        assert!((400..600).contains(&keyless), "{keyless}");
    }

    #[test]
    fn samples_take_the_numbers_place() {
        let requests = requests(7, &["one", "two"]);
        let good = (0..1_000).filter(|number| {
            let value = requests.request(*number).value;
            value.as_deref() == Some(b"one") || value.as_deref() == Some(b"two")
        });
        assert!(good.count() > 950);
    }
}
