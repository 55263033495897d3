//! Open transactions in words.

use std::{
    fmt::Write,
    time::{Duration, UNIX_EPOCH},
};

use crate::transactions::{Aborted, Coordinated, OpenAt, Places, Survey, Transaction, Verdict, Why};

/// All of them, and how many there are.
pub fn list(survey: &Survey, file: &str, places: &Places) -> String {
    let mut text = String::new();
    for one in &survey.transactions {
        let _ = writeln!(text, "{}", head(one, survey.at));
        for at in &one.open {
            text += &open(at, one, survey.at, Some(file));
        }
        if one.open.is_empty() {
            text += "  has no record at these partitions yet\n";
        }
    }
    let hangs = |one: &&Transaction| one.open.iter().any(|at| matches!(at.verdict, Verdict::Hangs(_)));
    let hanging = survey.transactions.iter().filter(hangs).count();
    let count = match (survey.transactions.len(), hanging) {
        (0, _) => "no transaction is open".to_owned(),
        (1, 0) => "1 transaction is open, and it does not hang as far as is known".to_owned(),
        (all, 0) => format!("{all} transactions are open, and none of them hangs as far as is known"),
        (1, _) => "1 transaction is open, and it hangs".to_owned(),
        (all, 1) => format!("{all} transactions are open, and 1 of them hangs"),
        (all, hanging) => format!("{all} transactions are open, and {hanging} of them hang"),
    };
    let topics = if places.topics.is_empty() {
        "none of its topics is there".to_owned()
    } else {
        places.topics.join(", ")
    };
    let _ = writeln!(text, "{count}; {} partitions were asked: {topics}", places.partitions());
    if !survey.gaps.is_empty() {
        text += "not everything could be asked: see the warnings\n";
    }
    text
}

/// What its coordinator knows of one, and how it stands at the partitions.
pub fn described(of: &Coordinated, survey: &Survey, file: &str) -> String {
    let mut text = String::new();
    let partitions: Vec<String> = of.partitions.iter().map(ToString::to_string).collect();
    let began = of.start.map_or("none is open".to_owned(), |start| {
        format!("{}, {} ago", time(start), since(start, survey.at))
    });
    for (name, value) in [
        ("transactional id", of.id.clone()),
        ("state", of.state.clone()),
        ("coordinator", format!("broker {}", of.coordinator)),
        ("producer", format!("{}, epoch {}", of.producer, of.epoch)),
        ("time-out", words(of.timeout)),
        ("began", began),
        ("partitions", if partitions.is_empty() { "none".to_owned() } else { partitions.join(", ") }),
    ] {
        let _ = writeln!(text, "{name:<18}{value}");
    }
    for one in survey.transactions.iter().filter(|one| one.producer == of.producer && !one.open.is_empty()) {
        text += "\n";
        one.open.iter().for_each(|at| text += &open(at, one, survey.at, Some(file)));
    }
    text
}

/// One at one partition.
pub fn one(one: &Transaction, at: &OpenAt, now: i64) -> String {
    format!("{}\n{}", head(one, now), open(at, one, now, None))
}

/// What was done, and what that means.
pub fn aborted(at: &OpenAt, aborted: &Aborted, file: &str) -> String {
    let (open, partition) = (&at.open, &at.open.partition);
    let mut text = format!(
        "\naborted at {partition}: readers of what is committed leave out what producer {} wrote there from offset {} on\n",
        open.producer, open.start
    );
    match aborted.ends {
        Some((stable, end)) if stable < end => {
            let _ = writeln!(
                text,
                "its last stable offset is {stable} now, and its end {end}: another transaction is open there"
            );
        }
        Some((stable, _)) => {
            let _ = writeln!(
                text,
                "its last stable offset is {stable} now, which is its end: nothing is held back there"
            );
        }
        None => {}
    }
    let _ =
        writeln!(text, "at other partitions the transaction is as it was: pipeline transactions list {file}");
    text
}

fn head(one: &Transaction, now: i64) -> String {
    match &one.of {
        None => format!("no transactional id is known: producer {}", one.producer),
        Some(of) => {
            let age = of.start.map_or(String::new(), |start| format!(" for {}", since(start, now)));
            format!(
                "{}: {}{age}, time-out {}, producer {} of epoch {}, coordinator broker {}",
                of.id,
                of.state,
                words(of.timeout),
                of.producer,
                of.epoch,
                of.coordinator
            )
        }
    }
}

/// How it stands at a partition; with the command that aborts it where it hangs and there is a file.
fn open(at: &OpenAt, one: &Transaction, now: i64, file: Option<&str>) -> String {
    let (open, partition) = (&at.open, &at.open.partition);
    let mut text = format!(
        "  {partition} from offset {} on, epoch {}, the last record is of {}\n",
        open.start,
        open.epoch,
        time(open.last_write)
    );
    if let Some((stable, end)) = at.ends {
        let began = one.of.as_ref().filter(|of| of.partitions.contains(partition)).and_then(|of| of.start);
        let since = began.map_or(String::new(), |began| format!(" for {} at most", since(began, now)));
        let what = match at.holds() {
            true => format!(
                "holds the last stable offset{since}; offsets behind it, which no reader of what is committed gets: {}",
                end - stable
            ),
            false => format!(
                "another one holds the last stable offset, {stable}; offsets behind that: {}",
                end - stable
            ),
        };
        let _ = writeln!(text, "    {what}");
    }
    let verdict = match &at.verdict {
        Verdict::Fine => "does not hang: its producer ends it, or its coordinator does at its time-out".to_owned(),
        Verdict::Ending => "does not hang: its coordinator writes its end".to_owned(),
        Verdict::Unknown(why) => format!("may hang: {why}"),
        Verdict::Hangs(Why::TooOld) => "HANGS: its coordinator has not aborted it at its time-out".to_owned(),
        Verdict::Hangs(Why::NotIncluded) => {
            "HANGS: the coordinator of its transactional id knows of no open transaction with this partition in it".to_owned()
        }
        Verdict::Hangs(Why::NotKnown) => "HANGS: no coordinator knows its producer".to_owned(),
    };
    let _ = writeln!(text, "    {verdict}");
    if let (Verdict::Hangs(_), Some(file)) = (&at.verdict, file) {
        let _ = writeln!(
            text,
            "    to abort it: pipeline transactions abort {file} --topic {} --partition {} --start-offset {}",
            partition.topic, partition.partition, open.start
        );
    }
    text
}

fn time(millis: i64) -> String {
    let since = Duration::from_millis(millis.try_into().unwrap_or(0));
    let time = UNIX_EPOCH.checked_add(since).unwrap_or(UNIX_EPOCH);
    // What is behind the year 9999 has no such form.
    let mut text = String::new();
    match write!(text, "{}", humantime::format_rfc3339_seconds(time)) {
        Ok(()) => text,
        Err(_) => format!("{millis} ms"),
    }
}

fn since(millis: i64, now: i64) -> String {
    words(Duration::from_millis(now.saturating_sub(millis).try_into().unwrap_or(0)))
}

/// Seconds are enough, and of what is less, milliseconds.
fn words(time: Duration) -> String {
    let rounded = if time >= Duration::from_secs(1) { Duration::from_secs(time.as_secs()) } else { time };
    humantime::format_duration(rounded).to_string()
}
