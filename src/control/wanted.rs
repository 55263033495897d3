//! What is wanted, and how it is written.

use std::{
    fmt,
    str::FromStr,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use humantime::format_rfc3339_seconds;

/// The version, which what is written begins with.
const VERSION: &str = "c1";
/// The last millisecond of the year 9999: RFC 3339 has no later one.
const LAST: u64 = 253_402_300_799_999;

/// How many records a worker may read in a second.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum Rate {
    /// What its file says.
    #[default]
    File,
    /// As many as it can.
    Unlimited,
    /// So many; at least one.
    At(u32),
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Rate::File => f.write_str("file"),
            Rate::Unlimited => f.write_str("none"),
            Rate::At(rate) => write!(f, "{rate}"),
        }
    }
}

impl FromStr for Rate {
    type Err = String;

    fn from_str(text: &str) -> Result<Rate, String> {
        match text {
            "file" => Ok(Rate::File),
            "none" => Ok(Rate::Unlimited),
            // `parse` takes a sign and zeros before the number, too.
            _ => match text.parse() {
                Ok(rate) if rate > 0 && u32::to_string(&rate) == text => Ok(Rate::At(rate)),
                _ => Err(format!(
                    "a rate is a number of records a second from 1 to {}, `none` for no limit, or `file` for that of the file; not `{text}`",
                    u32::MAX
                )),
            },
        }
    }
}

/// What somebody changes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Change {
    /// No record is taken any more.
    Pause,
    /// Records are taken again.
    Resume,
    /// So many are taken in a second.
    Rate(Rate),
}

/// What is wanted of a group's workers. As text it is `c1:WRITTEN:PAUSED:RATE`: when it was committed, since when they are paused (or `-`), both
/// in milliseconds since 1970, and their rate.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Wanted {
    written: u64,
    paused: Option<u64>,
    /// How fast each worker reads, where it is not paused.
    pub rate: Rate,
}

impl Wanted {
    /// Since when no record is to be taken; `None` where records are.
    pub fn paused(&self) -> Option<SystemTime> {
        self.paused.map(time)
    }

    /// Whether this is what holds where nobody has said anything.
    pub fn is_nothing(&self) -> bool {
        self.paused.is_none() && self.rate == Rate::File
    }

    /// With that change. What is paused stays paused since it was.
    pub fn with(self, change: Change, now: SystemTime) -> Wanted {
        let now = millis(now);
        match change {
            Change::Pause => Wanted { written: now, paused: self.paused.or(Some(now)), ..self },
            Change::Resume => Wanted { written: now, paused: None, ..self },
            Change::Rate(rate) => Wanted { written: now, rate, ..self },
        }
    }

    /// The same, written anew.
    pub fn again(self, now: SystemTime) -> Wanted {
        Wanted { written: millis(now), ..self }
    }

    /// How long ago it was written; no time at all where that is ahead of this clock.
    pub fn age(&self, now: SystemTime) -> Duration {
        now.duration_since(time(self.written)).unwrap_or_default()
    }

    /// In words: `paused since 2026-11-27T20:41:07Z`.
    pub fn words(&self) -> String {
        let paused = self.paused().map(|since| format!("paused since {}", format_rfc3339_seconds(since)));
        let rate = match self.rate {
            Rate::File => "each worker reads as fast as its file lets it".to_owned(),
            Rate::Unlimited => "each worker reads as fast as it can".to_owned(),
            Rate::At(1) => "each worker reads 1 record a second at most".to_owned(),
            Rate::At(rate) => format!("each worker reads {rate} records a second at most"),
        };
        match paused {
            Some(paused) if self.rate == Rate::File => paused,
            Some(paused) => format!("{paused}; once it is resumed, {rate}"),
            None => format!("not paused; {rate}"),
        }
    }
}

impl fmt::Display for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let paused = self.paused.map_or_else(|| "-".to_owned(), |paused| paused.to_string());
        write!(f, "{VERSION}:{}:{paused}:{}", self.written, self.rate)
    }
}

impl FromStr for Wanted {
    type Err = String;

    fn from_str(text: &str) -> Result<Wanted, String> {
        let parts: Vec<&str> = text.split(':').collect();
        let wanted = match parts[..] {
            [VERSION, written, paused, rate] => (|| {
                let paused = if paused == "-" { None } else { Some(moment(paused)?) };
                Some(Wanted { written: moment(written)?, paused, rate: rate.parse().ok()? })
            })(),
            _ => None,
        };
        wanted.ok_or_else(|| format!("`{}` is not what this version writes there", text.escape_debug()))
    }
}

/// Milliseconds since 1970 as they are written: without a sign, and without zeros before them.
fn moment(text: &str) -> Option<u64> {
    text.parse().ok().filter(|millis| *millis <= LAST && u64::to_string(millis) == text)
}

fn time(millis: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(millis)
}

fn millis(time: SystemTime) -> u64 {
    let millis = time.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    u64::try_from(millis).map_or(LAST, |millis| millis.min(LAST))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> SystemTime {
        time(millis)
    }

    #[test]
    fn what_is_written_is_read() {
        // Strings that were written stay readable.
        for (text, paused, rate) in [
            ("c1:1764278558000:-:file", None, Rate::File),
            ("c1:1764278558000:1764278558000:file", Some(1_764_278_558_000), Rate::File),
            ("c1:1764278558001:7:500", Some(7), Rate::At(500)),
            ("c1:0:-:none", None, Rate::Unlimited),
            ("c1:253402300799999:253402300799999:4294967295", Some(LAST), Rate::At(u32::MAX)),
        ] {
            let wanted: Wanted = text.parse().unwrap();
            assert_eq!((wanted.paused, wanted.rate), (paused, rate), "{text}");
            assert_eq!(wanted.to_string(), text);
            assert!(!wanted.words().is_empty());
        }
    }

    #[test]
    fn whatever_else_is_there_is_refused_and_named() {
        for text in [
            "",
            "c1",
            "c1:1:-",
            "c1:1:-:file:",
            "c2:1:-:file",
            "C1:1:-:file",
            "c1:-1:-:file",
            "c1:+1:-:file",
            "c1:01:-:file",
            "c1: 1:-:file",
            "c1:1::file",
            "c1:1:x:file",
            "c1:253402300800000:-:file",
            "c1:1:18446744073709551616:file",
            "c1:1:-:0",
            "c1:1:-:+5",
            "c1:1:-:4294967296",
            "c1:1:-:File",
            "p2:12:AAAA",
            "c1:1:-:file\n",
        ] {
            let error = text.parse::<Wanted>().unwrap_err();
            assert!(error.contains(&*text.escape_debug().to_string()), "{error}");
        }
    }

    #[test]
    fn a_change_leaves_the_rest_as_it_was() {
        let paused = Wanted::default().with(Change::Pause, at(5_000));
        assert_eq!((paused.paused(), paused.age(at(6_000))), (Some(at(5_000)), Duration::from_secs(1)));
        let twice = paused.with(Change::Pause, at(9_000));
        assert_eq!(twice.paused(), Some(at(5_000)), "it is paused since the first time");
        let slower = twice.with(Change::Rate(Rate::At(7)), at(10_000));
        assert_eq!((slower.paused(), slower.rate), (Some(at(5_000)), Rate::At(7)));
        assert_eq!(
            slower.words(),
            "paused since 1970-01-01T00:00:05Z; once it is resumed, each worker reads 7 records a second at most"
        );
        let on = slower.with(Change::Resume, at(11_000));
        assert_eq!((on.paused(), on.rate, on.is_nothing()), (None, Rate::At(7), false));
        let kept = on.again(at(90_000));
        assert_eq!(kept.age(at(80_000)), Duration::ZERO, "written ahead of this clock");
        assert!(kept.with(Change::Rate(Rate::File), at(90_001)).is_nothing());
    }
}
