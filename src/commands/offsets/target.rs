//! Where a group is to go on.

use std::{str::FromStr, time::SystemTime};

/// A place in each partition.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum To {
    /// The first record that is there.
    Earliest,
    /// Behind the last one.
    Latest,
    /// The first record of that time or later.
    Time(SystemTime),
    /// That offset.
    Offset(i64),
    /// So many offsets on from what is committed, or back.
    Shift(i64),
}

impl FromStr for To {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let help = "expected earliest, latest, a time such as 2026-11-27T10:00:00Z, how long ago such as 2h, an offset such as 1000, or \
                    by how much it moves such as +1 or -100";
        match text {
            "earliest" => return Ok(To::Earliest),
            "latest" => return Ok(To::Latest),
            _ => {}
        }
        if let Ok(number) = text.parse::<i64>() {
            let moves = text.starts_with(['+', '-']);
            return Ok(if moves { To::Shift(number) } else { To::Offset(number) });
        }
        if let Ok(time) = humantime::parse_rfc3339(text) {
            return Ok(To::Time(time));
        }
        let ago = humantime::parse_duration(text).ok();
        ago.and_then(|ago| SystemTime::now().checked_sub(ago)).map(To::Time).ok_or_else(|| help.to_owned())
    }
}

impl To {
    /// The offset in a partition that has those from `first` to before `end`; `at` is the one of the time.
    pub fn of(self, committed: Option<i64>, first: i64, end: i64, at: Option<i64>) -> i64 {
        let offset = match self {
            To::Earliest => first,
            To::Latest => end,
            To::Time(_) => at.unwrap_or(end),
            To::Offset(offset) => offset,
            To::Shift(by) => committed.unwrap_or(first).saturating_add(by),
        };
        // Elsewhere there is nothing, and workers would begin wherever `auto.offset.reset` says.
        offset.clamp(first, end.max(first))
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    #[test]
    fn a_place_is_a_word_a_time_an_offset_or_a_move() {
        let read = |text: &str| text.parse::<To>();
        assert_eq!(read("earliest"), Ok(To::Earliest));
        assert_eq!(read("latest"), Ok(To::Latest));
        assert_eq!(read("1000"), Ok(To::Offset(1_000)));
        assert_eq!(read("+1"), Ok(To::Shift(1)));
        assert_eq!(read("-100"), Ok(To::Shift(-100)));
        assert_eq!(read("1970-01-01T00:00:07Z"), Ok(To::Time(UNIX_EPOCH + Duration::from_secs(7))));
        let Ok(To::Time(time)) = read("2h") else { panic!("no time") };
        let ago = SystemTime::now().duration_since(time).unwrap();
        assert!((7_199..7_210).contains(&ago.as_secs()), "{ago:?}");
        for wrong in ["", "sometime", "2026-11-27", "1e3", "--1"] {
            assert!(read(wrong).unwrap_err().contains("such as 2h"), "{wrong}");
        }
    }

    #[test]
    fn no_place_is_where_nothing_is() {
        assert_eq!(To::Earliest.of(Some(40), 10, 90, None), 10);
        assert_eq!(To::Latest.of(Some(40), 10, 90, None), 90);
        assert_eq!(To::Offset(50).of(Some(40), 10, 90, None), 50);
        assert_eq!(To::Offset(5).of(Some(40), 10, 90, None), 10);
        assert_eq!(To::Offset(1_000).of(Some(40), 10, 90, None), 90);
        assert_eq!(To::Shift(-15).of(Some(40), 10, 90, None), 25);
        assert_eq!(To::Shift(i64::MIN).of(Some(40), 10, 90, None), 10);
        assert_eq!(To::Shift(1).of(None, 10, 90, None), 11);
        assert_eq!(To::Time(UNIX_EPOCH).of(Some(40), 10, 90, Some(20)), 20);
        assert_eq!(To::Time(UNIX_EPOCH).of(Some(40), 10, 90, None), 90);
    }
}
