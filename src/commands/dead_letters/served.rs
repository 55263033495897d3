//! The dead letters that a gateway shows, and replays as the command does.

use std::{
    ops::ControlFlow,
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use futures::{FutureExt, future::BoxFuture};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::{
    super::run::progress_of,
    Failure,
    again::{Again, Found, send},
    letters::Letters,
};
use crate::{
    config::{self, Gateway, Pipeline, Properties, Route},
    gateway::{self, Example, Findings, Replayed, Summary, Summing, Told, Wanted},
    kafka::verify::{Begin, Bounds, Seen},
    operator::LetterFilter,
    settings::ProcessEnvironment,
};

/// What one look at a topic may cost.
const LOOK: Bounds = Bounds { records: 10_000, bytes: 32 << 20, time: Duration::from_secs(5) };
/// What finding the letters of one replay may cost. What lies behind is for the next one.
const FIND: Bounds = Bounds { records: 1_000_000, bytes: 1 << 30, time: Duration::from_secs(30) };
/// How often a record is replayed at most, as the command has it by default.
const MOST: u32 = 3;
/// How much memory a replay may hold.
const MEMORY: &str = "64 MiB";
/// How often it is told how far a replay is.
const TELL: Duration = Duration::from_millis(200);

/// Reads and replays the dead letters of a gateway's routes.
pub struct ServedLetters {
    /// How the brokers are reached.
    pub kafka: Properties,
}

impl ServedLetters {
    /// With the brokers of a gateway.
    pub fn of(gateway: &Gateway) -> Self {
        ServedLetters { kafka: gateway.kafka.clone() }
    }

    /// The workers' pipeline, as far as a route knows it: where it reads, and where its dead letters are.
    fn pipeline(&self, route: &Route) -> Result<Pipeline, String> {
        let letters = route.dead_letters.as_ref().ok_or_else(|| {
            format!("the route {} shows no dead letters: see [routes.{0}.dead_letters]", route.name)
        })?;
        let group = letters.group.as_deref().unwrap_or(&route.name);
        // A JSON string is a TOML string too.
        let text = format!(
            "name = {}\nsource.topic = {}\nsink.topic = {}\ndead_letters.topic = {}\nlimits.memory = {}\n[operators.identity]\n",
            json!(group),
            json!(route.request.topic),
            json!(route.result.topic),
            json!(letters.topic),
            json!(MEMORY),
        );
        let name = format!("the pipeline of the route {}", route.name);
        let parsed = config::parse(&name, &text, &[], &ProcessEnvironment);
        let (pipeline, _) = parsed.map_err(|wrong| wrong.to_string())?;
        Ok(Pipeline { kafka: self.kafka.clone(), ..pipeline })
    }
}

/// Does what waits for brokers where it may, with a route's letters.
async fn blocking<T: Send + 'static>(
    pipeline: Result<Pipeline, String>,
    act: impl FnOnce(&Letters<'_>) -> Result<T, Failure> + Send + 'static,
) -> Result<T, String> {
    let pipeline = pipeline?;
    let done = tokio::task::spawn_blocking(move || act(&Letters::of(&pipeline)?));
    done.await.map_err(|error| error.to_string())?.map_err(|failure| failure.to_string())
}

/// What a replay would send, and the replay itself.
fn find(letters: &Letters<'_>, wanted: &Wanted) -> Result<(Again, Found), Failure> {
    let filter = LetterFilter { class: Some(wanted.class.clone()), ..LetterFilter::default() };
    let again = Again::new(letters, filter, MOST, FIND)?;
    let found = again.find(letters, Some(wanted.limit), FIND)?;
    Ok((again, found))
}

impl gateway::Letters for ServedLetters {
    fn look(&self, route: &Route) -> BoxFuture<'static, Result<Summary, String>> {
        let pipeline = self.pipeline(route);
        let look = |letters: &Letters<'_>| {
            let mut sum = Summing::default();
            let begin = Begin::Newest(LOOK.records);
            let looked = letters.part(&LetterFilter::default(), &begin, LOOK, |letter| {
                sum.add(letter.partition, letter.offset, &letter.record);
                ControlFlow::Continue(())
            })?;
            Ok(sum.sum(looked.before, looked.behind))
        };
        blocking(pipeline, look).boxed()
    }

    fn find(&self, route: &Route, wanted: &Wanted) -> BoxFuture<'static, Result<Findings, String>> {
        let (pipeline, wanted) = (self.pipeline(route), wanted.clone());
        let findings = move |letters: &Letters<'_>| {
            let (_, found) = find(letters, &wanted)?;
            let example = |seen: &Seen| Example::of(seen.partition, seen.offset, &seen.record);
            Ok(Findings {
                found: found.count(),
                elsewhere: found.elsewhere,
                cut: found.cut,
                too_often: found.too_often,
                not_looked_at: found.looked.behind,
                examples: found.examples.iter().map(example).collect(),
            })
        };
        blocking(pipeline, findings).boxed()
    }

    fn replay(
        &self,
        route: &Route,
        wanted: &Wanted,
        told: Arc<Told>,
        stop: CancellationToken,
    ) -> BoxFuture<'static, Result<Replayed, String>> {
        let (pipeline, wanted) = (self.pipeline(route), wanted.clone());
        replay(pipeline, wanted, told, stop).boxed()
    }
}

async fn replay(
    pipeline: Result<Pipeline, String>,
    wanted: Wanted,
    told: Arc<Told>,
    stop: CancellationToken,
) -> Result<Replayed, String> {
    let finding = move |letters: &Letters<'_>| {
        let (again, found) = find(letters, &wanted)?;
        let replay = again.pipeline(letters, None)?;
        Ok((again, found, replay))
    };
    let (again, found, replay) = blocking(pipeline.clone(), finding).await?;
    let all = found.count();
    told.found.store(all, Relaxed);
    if all > 0 || found.looked.behind > 0 {
        let progress = progress_of(&replay);
        let sending = send(replay, &found.looked, progress.clone(), stop);
        let telling = async {
            loop {
                tokio::time::sleep(TELL).await;
                // What an aborted transaction has sent is sent again.
                told.sent.store(progress.records_out().min(all), Relaxed);
            }
        };
        tokio::select! {
            sent = sending => sent.map_err(|failure| failure.to_string())?,
            () = telling => {}
        }
    }
    let not_looked_at = found.looked.behind;
    let counted = move |letters: &Letters<'_>| {
        if again.has_done(letters, &found.looked)? {
            return Ok((found.count(), false));
        }
        let ended = again.ended(letters, FIND)?;
        Ok((ended.replayed, true))
    };
    let (replayed, some_left) = blocking(pipeline, counted).await?;
    told.sent.store(replayed, Relaxed);
    Ok(Replayed { replayed, some_left, not_looked_at })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_route_s_pipeline_reads_its_requests_and_has_its_workers_group() {
        let text = r#"
            kafka.bootstrap.servers = "broker:1"
            [routes.sums]
            request.topic = "asked"
            result.topic = "answered"
            dead_letters.topic = "bad"
            dead_letters.group = "workers \"of\" sums"
        "#;
        let (gateway, _) = config::parse_gateway("g.toml", text, &[], &ProcessEnvironment).unwrap();
        let pipeline = ServedLetters::of(&gateway).pipeline(&gateway.routes[0]).unwrap();
        assert_eq!(pipeline.source.names(), ["asked"]);
        assert_eq!(pipeline.source.group, "workers \"of\" sums");
        assert_eq!((pipeline.dead_letters.as_str(), pipeline.limits.memory), ("bad", 64 << 20));
        assert_eq!(pipeline.kafka, gateway.kafka);
    }
}
