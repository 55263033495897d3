//! Where results go.

use super::*;
use crate::format::Format;

const ROUTES: &str = r#"
[[routes]]
when = "n > 5"
topic = "large"
format = "json"

[[routes]]
topics = { x = "a", "y.z" = "b", w = "out" }
by = "key"
partitions = 3
"#;

fn routed() -> String {
    // The factorial's results are text, which is no number any more.
    ROUTES.replace("n > 5", "size(key) > 5")
}

#[test]
fn each_topic_has_a_place_and_a_format() {
    let pipeline = good(&routed(), &[]);
    let topics: Vec<_> = pipeline.result_topics().iter().map(|topic| topic.topic.as_str()).collect();
    assert_eq!(topics, ["out", "large", "a", "b"]);
    let partitions: Vec<_> = pipeline.result_topics().iter().map(|topic| topic.partitions).collect();
    assert_eq!(partitions, [None, None, Some(3), Some(3)]);
    let formats: Vec<Format> = topics.iter().map(|topic| pipeline.format_of(topic).clone()).collect();
    assert_eq!(formats, [Format::Text, Format::Json, Format::Text, Format::Text]);
    assert_eq!(pipeline.operator_names(), ["factorial", "sink"]);
}

#[test]
fn retry_topics_have_their_places_behind_those_of_results() {
    let retry = "[retry]\ntopic = 'later'\nafter = ['1 min', '2 h']\n";
    let pipeline = good(&format!("{}{retry}", routed()), &["order=none"]);
    let topics: Vec<_> = pipeline
        .retries
        .topics
        .iter()
        .map(|retry| (retry.topic.as_str(), retry.after.as_secs(), retry.to.0))
        .collect();
    assert_eq!(topics, [("later-1", 60, 4), ("later-2", 7_200, 5)]);
    assert_eq!(pipeline.written_topics().results[4..], ["later-1", "later-2"]);
    assert_eq!(pipeline.subscribed_topics(), ["in", "later-1", "later-2"]);
    assert!(pipeline.topics_beside().is_empty());
    let pipeline = good(&format!("{}{retry}", routed()), &["order=key"]);
    assert_eq!(pipeline.subscribed_topics(), ["in"], "their partitions come with those of the source");
    assert_eq!(pipeline.topics_beside(), ["later-1", "later-2"]);
}

#[test]
fn an_override_names_a_route_by_its_place() {
    let pipeline = good(&routed(), &["routes.0.topic=other", "routes.1.topics.y.z=third"]);
    let topics: Vec<_> = pipeline.result_topics().iter().map(|topic| topic.topic.as_str()).collect();
    assert_eq!(topics, ["out", "other", "a", "third"]);
}

#[test]
fn a_pipeline_with_routes_needs_no_operator() {
    let text = format!("{}{}", GOOD.replace("[operators.factorial]", ""), routed());
    assert!(parsed(&text, &[]).is_ok());
}

#[test]
fn what_is_wrong_with_a_route_is_said_at_its_place() {
    let routes = "[[routes]]\n";
    assert_wrong(&[
        (ROUTES, &["`routes.when`: there is no `n` here", "f.toml:12:9"]),
        (&format!("{routes}topic = 'a'\ntopics.b = 'b'"), &["`routes` has both `topic` and `topics`"]),
        (
            &format!("{routes}topic = 'a'\nby = 'key'"),
            &["`routes.by` chooses among topics, and there is one"],
        ),
        (
            &format!("{routes}topics = {{ b = 'b' }}"),
            &["`routes.topics` needs an expression that chooses one of them", "f.toml:11:10"],
        ),
        (&format!("{routes}topics = {{}}\nby = 'key'"), &["`routes.topics` names no topic"]),
        (
            &format!("{routes}topics.de = 3\nby = 'key'"),
            &["`routes.topics.de` must be a topic's name in quotes"],
        ),
        (&format!("{routes}topics.a = 'a b'\nby = 'key'"), &["`routes.topics.a` is not a topic's name"]),
        (&format!("{routes}when = 'true'"), &["`topic` is missing in `[routes]`"]),
        (&format!("{routes}topic = 'in'"), &["the pipeline would read its own results: `in` is its source"]),
        (&format!("{routes}topic = 'in.dlq'"), &["dead letters would be among the results of `in.dlq`"]),
    ]);
}
