//! W3C Trace Context (`traceparent`) in record headers: what a record causes belongs to its trace.
//!
//! A record that comes with a trace makes a span of its own here: its results and dead letters name it as
//! their parent, and a line of the log (target `pipeline::trace`, level debug) says how long it took.

use std::time::Duration;

use super::Environment;
use crate::record::{Headers, Offset, TopicPartition};

/// The header's name.
const TRACEPARENT: &str = "traceparent";

/// Computing one record, as a part of the trace that it came with.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Span {
    trace: String,
    parent: String,
    id: String,
    flags: String,
}

impl Span {
    /// A span below the one that the headers name; `None` where they name none, or not well.
    pub fn below(headers: &Headers, environment: &dyn Environment) -> Option<Span> {
        // Most records have no headers, and this is asked for each.
        if headers.is_empty() {
            return None;
        }
        let (trace, parent, flags) = parse(std::str::from_utf8(headers.get(TRACEPARENT)?).ok()?)?;
        // Half of it at a time: a random number has 53 bits. Zero would be no id.
        let half = || (environment.random() * 4_294_967_296.0) as u32;
        let id = format!("{:08x}{:08x}", half(), half() | 1);
        Some(Span { trace: trace.to_owned(), parent: parent.to_owned(), id, flags: flags.to_owned() })
    }

    /// Makes what the record has caused a child of this span.
    pub fn adopt(&self, headers: &mut Headers) {
        let value = format!("00-{}-{}-{}", self.trace, self.id, self.flags);
        headers.set(TRACEPARENT, value.into());
    }

    /// Says that the record is computed.
    pub fn ended(&self, partition: &TopicPartition, offset: Offset, took: Duration, outcome: &str) {
        tracing::debug!(
            target: "pipeline::trace",
            trace_id = self.trace,
            span_id = self.id,
            parent_id = self.parent,
            topic = %partition.topic,
            partition = partition.partition,
            offset = offset.0,
            took_us = took.as_micros() as u64,
            outcome,
            "computed"
        );
    }
}

/// Trace, parent and flags of version 00, and of later ones, which begin the same way.
fn parse(value: &str) -> Option<(&str, &str, &str)> {
    let mut parts = value.split('-');
    let (version, trace, parent, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let hexadecimal = |part: &str, digits: usize| {
        part.len() == digits && part.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
    };
    let zero = |part: &str| part.bytes().all(|digit| digit == b'0');
    let well = hexadecimal(version, 2)
        && version != "ff"
        && (version != "00" || parts.next().is_none())
        && hexadecimal(trace, 32)
        && !zero(trace)
        && hexadecimal(parent, 16)
        && !zero(parent)
        && hexadecimal(flags, 2);
    well.then_some((trace, parent, flags))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Machine;

    const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn what_is_caused_is_a_child_in_the_same_trace() {
        let machine = Machine::new().unwrap();
        let mut headers: Headers = [("id", "1"), ("traceparent", PARENT)].into_iter().collect();
        let span = Span::below(&headers, &*machine).unwrap();
        span.adopt(&mut headers);
        let child = std::str::from_utf8(headers.get("traceparent").unwrap()).unwrap();
        let (trace, parent, flags) = parse(child).unwrap();
        assert_eq!((trace, parent, flags), ("4bf92f3577b34da6a3ce929d0e0e4736", &span.id[..], "01"));
        assert_ne!(span.id, "00f067aa0ba902b7");
        assert_eq!((headers.get("id"), headers.iter().count()), (Some(&b"1"[..]), 2));
    }

    #[test]
    fn what_is_no_trace_is_left_alone() {
        for value in [
            "",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
        ] {
            assert_eq!(parse(value), None, "{value}");
        }
        assert!(parse("cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-later").is_some());
    }
}
