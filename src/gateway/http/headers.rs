//! What a request's headers say: `Accept`, `Authorization`, `Content-Type` (RFC 9110), `Prefer` (RFC 7240) and
//! `traceparent`. Knows no server, so that it is fuzzed without one.

use std::time::Duration;

use http::{HeaderMap, HeaderName, header};

use crate::{
    gateway::Trace,
    trace::{TRACEPARENT, TRACESTATE},
};

/// How an answer is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Form {
    /// The result alone.
    Text,
    /// The result, where it was, and how long it took.
    Json,
}

impl Form {
    /// The form that the client prefers; text where it does not say.
    pub fn of(headers: &HeaderMap) -> Form {
        let mut best = (Form::Text, 0.0);
        for range in values(headers, header::ACCEPT) {
            let mut parts = range.split(';').map(str::trim);
            let form = match parts.next().unwrap_or_default().to_ascii_lowercase().as_str() {
                "application/json" | "application/*" => Form::Json,
                "text/plain" | "text/*" | "*/*" => Form::Text,
                _ => continue,
            };
            let quality = parts.find_map(|part| part.strip_prefix("q=")?.parse().ok()).unwrap_or(1.0);
            if quality > best.1 {
                best = (form, quality);
            }
        }
        best.0
    }
}

/// How long a client wants to wait.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Prefer {
    /// Not at all, or no longer than `wait` says: `respond-async`.
    pub respond_async: bool,
    /// For so long: `wait=10`, in seconds.
    pub wait: Option<Duration>,
}

impl Prefer {
    /// Reads the header `Prefer`.
    pub fn of(headers: &HeaderMap) -> Prefer {
        let mut prefer = Prefer::default();
        for preference in values(headers, HeaderName::from_static("prefer")) {
            let preference = preference.split(';').next().unwrap_or_default();
            let (name, value) = preference.split_once('=').unwrap_or((preference, ""));
            match name.trim().to_ascii_lowercase().as_str() {
                "respond-async" => prefer.respond_async = true,
                "wait" => prefer.wait = value.trim().trim_matches('"').parse().ok().map(Duration::from_secs),
                _ => {}
            }
        }
        prefer
    }

    /// How long to wait for an answer, at most `timeout`.
    pub fn within(self, timeout: Duration) -> Duration {
        self.wait.map_or(timeout, |wait| wait.min(timeout))
    }
}

/// Whether the body is declared as JSON. A form on another site's page cannot declare that without a
/// preflight request.
pub fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    kind.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("application/json")
}

/// Whether the client is a browser that opens a page.
pub fn wants_page(headers: &HeaderMap) -> bool {
    let kind = |range: &str| range.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    values(headers, header::ACCEPT).any(|range| kind(range) == "text/html")
}

/// The token in `Authorization: Bearer`, if there is one.
pub fn bearer(headers: &HeaderMap) -> Option<&[u8]> {
    let (scheme, token) = headers.get(header::AUTHORIZATION)?.as_bytes().split_at_checked("Bearer ".len())?;
    scheme.eq_ignore_ascii_case(b"Bearer ").then_some(token)
}

/// The trace that the client names in `traceparent`, if it does.
pub fn trace(headers: &HeaderMap) -> Option<Trace> {
    let parent = headers.get(TRACEPARENT)?;
    Trace::below(parent.as_bytes(), headers.get(TRACESTATE).and_then(|state| state.to_str().ok()))
}

/// The members of a header that is a comma-separated list.
fn values(headers: &HeaderMap, name: HeaderName) -> impl Iterator<Item = &str> {
    let lines = headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
    lines.flat_map(|line| line.split(',')).map(str::trim)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: &'static str, values: &[&'static str]) -> HeaderMap {
        values.iter().map(|value| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    #[test]
    fn the_form_is_the_one_with_the_highest_quality_and_text_where_nobody_says() {
        for (accept, form) in [
            (&[][..], Form::Text),
            (&["*/*"], Form::Text),
            (&["application/json"], Form::Json),
            (&["application/json, text/plain, */*"], Form::Json),
            (&["text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"], Form::Text),
            (&["text/plain;q=0.5, application/json;q=0.4"], Form::Text),
            (&["text/plain;q=0.5", "Application/JSON"], Form::Json),
            (&["image/png"], Form::Text),
            (&["application/json;q=x"], Form::Json),
        ] {
            assert_eq!(Form::of(&headers("accept", accept)), form, "{accept:?}");
        }
    }

    #[test]
    fn a_page_is_for_those_who_name_its_type() {
        for (accept, page) in [
            (&[][..], false),
            (&["*/*"], false),
            (&["application/json"], false),
            (&["text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"], true),
            (&["application/json", "Text/HTML;q=0.1"], true),
        ] {
            assert_eq!(wants_page(&headers("accept", accept)), page, "{accept:?}");
        }
    }

    #[test]
    fn preferences_are_read_whatever_else_is_preferred() {
        let seconds = |n| Some(Duration::from_secs(n));
        for (prefer, respond_async, wait) in [
            (&[][..], false, None),
            (&["respond-async"], true, None),
            (&["Respond-Async, wait=10"], true, seconds(10)),
            (&["wait = 3; foo=bar", "return=minimal"], false, seconds(3)),
            (&["wait=soon"], false, None),
        ] {
            let expected = Prefer { respond_async, wait };
            assert_eq!(Prefer::of(&headers("prefer", prefer)), expected, "{prefer:?}");
        }
    }
}
