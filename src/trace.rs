//! W3C Trace Context (`traceparent`, `tracestate`): what a request or a record causes belongs to its trace.
//!
//! What comes with a trace makes a span of its own here: what it causes names the span as its parent, and a line of the
//! log (target `pipeline::trace`, level debug) says how long it took, which [`telemetry`](crate::telemetry) may send to a
//! collector.

/// The header that names a trace and the parent in it, of HTTP and of records.
pub const TRACEPARENT: &str = "traceparent";
/// The header with what tracing systems want to know of each other; handed on as it is.
pub const TRACESTATE: &str = "tracestate";

/// Something that takes time, as a part of the trace that it came with.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Span {
    /// The trace, in hexadecimal digits.
    pub trace: String,
    /// The span that has caused this one.
    pub parent: String,
    /// This span's own id, 16 hexadecimal digits.
    pub id: String,
    flags: String,
}

impl Span {
    /// A span below the one that a `traceparent` names; `None` where it names none, or not well. `chance` makes its id.
    ///
    /// ```
    /// use pipeline::trace::Span;
    ///
    /// let span = Span::below(b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", 7).unwrap();
    /// assert_eq!(span.traceparent(), "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000007-01");
    /// ```
    pub fn below(traceparent: &[u8], chance: u64) -> Option<Span> {
        let (trace, parent, flags) = parse(std::str::from_utf8(traceparent).ok()?)?;
        // Zero would be no id.
        let id = format!("{:016x}", chance | 1);
        Some(Span { trace: trace.to_owned(), parent: parent.to_owned(), id, flags: flags.to_owned() })
    }

    /// Whether the trace is kept where it began.
    pub fn is_sampled(&self) -> bool {
        u8::from_str_radix(&self.flags, 16).is_ok_and(|flags| flags & 1 == 1)
    }

    /// What makes something a child of this span.
    pub fn traceparent(&self) -> String {
        format!("00-{}-{}-{}", self.trace, self.id, self.flags)
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

    const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn what_is_caused_is_a_child_in_the_same_trace() {
        let span = Span::below(PARENT.as_bytes(), 0xabc0).unwrap();
        assert_eq!(span.parent, "00f067aa0ba902b7");
        let child = Span::below(span.traceparent().as_bytes(), 1).unwrap();
        assert_eq!((child.trace, child.parent), (span.trace, "000000000000abc1".to_owned()));
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
