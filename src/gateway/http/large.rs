//! Results in pieces: streamed as they are read, whole or a range of them (RFC 9110, sections 13 and 14).

use std::{ops::Range, sync::Arc};

use axum::{
    body::Body,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use futures::{
    StreamExt,
    future::ready,
    stream::{self, BoxStream},
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{Problem, Served};
use crate::{
    gateway::{Answered, Pieces, Question},
    pieces::Manifest,
};

/// How many large results are read at once, each with a client of its own.
const AT_ONCE: usize = 16;

/// Reads large results, a few at once.
pub struct Large {
    pieces: Box<dyn Pieces>,
    permits: Arc<Semaphore>,
}

impl Large {
    /// What reads the pieces of a route's results.
    pub fn new(pieces: impl Pieces) -> Self {
        Large { pieces: Box::new(pieces), permits: Arc::new(Semaphore::new(AT_ONCE)) }
    }
}

/// What a client wants of a result.
pub struct Wanted<'a> {
    /// The headers of its request.
    pub headers: &'a HeaderMap,
    /// Whether it wants nothing but the headers of the answer.
    pub head: bool,
}

/// Answers with a result in pieces, or with the range of it that is wanted.
pub async fn respond(
    served: &Served,
    answered: &Answered,
    manifest: &Manifest,
    wanted: &Wanted<'_>,
    mut headers: HeaderMap,
) -> Response {
    let Some(answer) = answer(served, &answered.answer.question, manifest) else {
        let detail = format!(
            "it is in pieces of the format {}, of which the answer cannot be cut out",
            manifest.format
        );
        return Problem::bad_result(detail).into_response();
    };
    let (tag, whole) = (format!("\"{}\"", manifest.sha256), answer.end - answer.start);
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(served.route.values.content_type()));
    if let Ok(tag) = tag.parse() {
        headers.insert(header::ETAG, tag);
    }
    let text = |name| wanted.headers.get(name).and_then(|value| value.to_str().ok());
    if text(header::IF_NONE_MATCH).is_some_and(|tags| has_tag(tags, &tag)) {
        return (StatusCode::NOT_MODIFIED, headers).into_response();
    }
    let is_same = text(header::IF_RANGE).is_none_or(|known| known == tag);
    let (status, range) =
        match text(header::RANGE).filter(|_| is_same).and_then(|range| range_of(range, whole)) {
            None => (StatusCode::OK, 0..whole),
            Some(Some(range)) => {
                let content = format!("bytes {}-{}/{whole}", range.start, range.end - 1);
                headers.extend(content.parse().ok().map(|content| (header::CONTENT_RANGE, content)));
                (StatusCode::PARTIAL_CONTENT, range)
            }
            Some(None) => {
                headers.extend(
                    format!("bytes */{whole}").parse().ok().map(|content| (header::CONTENT_RANGE, content)),
                );
                return (StatusCode::RANGE_NOT_SATISFIABLE, headers).into_response();
            }
        };
    headers.insert(header::CONTENT_LENGTH, (range.end - range.start).into());
    if wanted.head {
        return (status, headers).into_response();
    }
    match body(served, manifest, answer.start + range.start..answer.start + range.end).await {
        Ok(body) => (status, headers, body).into_response(),
        Err(problem) => {
            served.desk.forget_answer(answered.answer.question.clone());
            problem.into_response()
        }
    }
}

/// Which bytes of a result are the answer; `None` where it has to be read as a whole to know.
fn answer(served: &Served, question: &Question, manifest: &Manifest) -> Option<Range<u64>> {
    let start = match question {
        // `n;digits`
        Question::Number(n) => n.to_string().len() as u64 + 1,
        Question::Value(_) => 0,
    };
    (served.route.values.answers_by_slicing() && start < manifest.bytes).then_some(start..manifest.bytes)
}

/// These bytes of a result, as they are read. The first piece is waited for, so that a result that is gone is a problem.
async fn body(served: &Served, manifest: &Manifest, bytes: Range<u64>) -> Result<Body, Problem> {
    let permit = served.large.permits.clone().try_acquire_owned().map_err(|_| Problem::too_many())?;
    let pieces = manifest.pieces_of(bytes.clone());
    let skipped = bytes.start - pieces.start as u64 * manifest.piece_bytes();
    let mut read = served.large.pieces.read(manifest, pieces);
    let first = read.next().await.unwrap_or(Ok(Bytes::new())).map_err(Problem::bad_result)?;
    let all = stream::once(ready(Ok(first))).chain(read);
    Ok(Body::from_stream(cut(all.boxed(), skipped, bytes.end - bytes.start, permit).fuse()))
}

/// So many bytes of what is read, without those before.
fn cut(
    pieces: BoxStream<'static, Result<Bytes, String>>,
    skipped: u64,
    wanted: u64,
    permit: OwnedSemaphorePermit,
) -> impl futures::Stream<Item = Result<Bytes, String>> {
    pieces.scan((skipped, wanted), move |(skip, left), piece| {
        // Given back with the stream.
        let _held = &permit;
        let cut = piece.map(|mut piece| {
            let over = (*skip).min(piece.len() as u64);
            let piece = piece.split_off(over as usize);
            *skip -= over;
            let taken = piece.slice(..(*left).min(piece.len() as u64) as usize);
            *left -= taken.len() as u64;
            taken
        });
        ready(Some(cut))
    })
}

/// Whether one of these entity tags is the one, as `If-None-Match` compares: weakly.
fn has_tag(tags: &str, tag: &str) -> bool {
    tags.split(',').map(str::trim).any(|known| known == "*" || known.trim_start_matches("W/") == tag)
}

/// The one range of `size` bytes that `Range` asks for: `None` where it asks for something else, which is ignored, and
/// `Some(None)` where there is no such range.
fn range_of(header: &str, size: u64) -> Option<Option<Range<u64>>> {
    let (first, last) = header.strip_prefix("bytes=")?.trim().split_once('-')?;
    let number = |text: &str| (!text.is_empty()).then(|| text.parse::<u64>().ok());
    let range = match (number(first), number(last)) {
        (None, Some(Some(last))) => size.saturating_sub(last)..size,
        (Some(Some(first)), None) => first..size,
        (Some(Some(first)), Some(Some(last))) if first <= last => first..size.min(last.saturating_add(1)),
        _ => return None,
    };
    Some((range.start < range.end).then_some(range))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_of_what_is_there_and_anything_else_is_ignored() {
        for (header, range) in [
            ("bytes=0-", Some(Some(0..100))),
            ("bytes=10-19", Some(Some(10..20))),
            ("bytes=90-200", Some(Some(90..100))),
            ("bytes=99-18446744073709551615", Some(Some(99..100))),
            ("bytes=-5", Some(Some(95..100))),
            ("bytes=-500", Some(Some(0..100))),
            ("bytes=100-", Some(None)),
            ("bytes=-0", Some(None)),
            ("bytes=0-1,5-6", None),
            ("bytes=9-1", None),
            ("bytes=-", None),
            ("bytes=x-", None),
            ("lines=1-2", None),
        ] {
            assert_eq!(range_of(header, 100), range, "{header}");
        }
    }

    #[test]
    fn tags_are_compared_weakly() {
        for (tags, known) in
            [("\"a\"", true), ("\"b\", W/\"a\"", true), ("*", true), ("\"b\"", false), ("a", false)]
        {
            assert_eq!(has_tag(tags, "\"a\""), known, "{tags}");
        }
    }

    #[tokio::test]
    async fn pieces_are_cut_to_what_is_wanted() {
        let cut = |skipped, wanted| async move {
            let permits = Arc::new(Semaphore::new(1));
            let pieces = stream::iter(["abcde", "fghij", "kl"].map(|piece| Ok(Bytes::from(piece)))).boxed();
            let permit = permits.clone().try_acquire_owned().unwrap();
            let taken: Vec<_> =
                super::cut(pieces, skipped, wanted, permit).map(Result::unwrap).collect().await;
            assert_eq!(permits.available_permits(), 1);
            String::from_utf8(taken.concat()).unwrap()
        };
        assert_eq!(cut(0, 12).await, "abcdefghijkl");
        assert_eq!(cut(2, 3).await, "cde");
        assert_eq!(cut(4, 3).await, "efg");
        assert_eq!(cut(7, 5).await, "hijkl");
    }
}
