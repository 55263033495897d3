//! Which topics are read.

use super::*;

fn with(source: &str) -> String {
    GOOD.replace("topic = \"in\"", source)
}

fn names(source: &str, sets: &[&str]) -> (Vec<String>, String) {
    let (pipeline, _) = parsed(&with(source), sets).unwrap_or_else(|wrong| panic!("{wrong}"));
    (pipeline.source.names(), pipeline.dead_letters)
}

#[test]
fn several_topics_and_a_pattern_have_dead_letters_by_the_pipeline_s_name() {
    let several = names("topics = ['a', 'b']\npartitions = 3", &[]);
    assert_eq!(several, (vec!["a".to_owned(), "b".to_owned()], "f.dlq".to_owned()));
    assert_eq!(names("topics = ['a']", &[]), (vec!["a".to_owned()], "a.dlq".to_owned()));
    assert_eq!(names("pattern = 'a|b-.*'", &[]), (vec!["^(a|b-.*)$".to_owned()], "f.dlq".to_owned()));
}

#[test]
fn an_override_says_it_instead_of_the_file() {
    assert_eq!(names("pattern = 'a.*'", &["source.topic=b"]).0, ["b"]);
    assert_eq!(names("topic = 'a'", &["source.topics=['b', 'c']"]).0, ["b", "c"]);
}

#[test]
fn what_is_wrong_with_the_sources_is_said_at_its_place() {
    let said = |source: &str, expected: &[&str]| {
        let text = wrong(&with(source), &[]);
        expected.iter().for_each(|part| assert!(text.contains(part), "{source}: {part:?} is not in\n{text}"));
    };
    said(
        "topic = 'a'\ntopics = ['b']",
        &["`topic`, `topics` and `pattern` say the same in three ways", "f.toml:5:10"],
    );
    said("topics = 'a'", &["`source.topics` must be an array of topics, not a string", "f.toml:4:10"]);
    said("topics = []", &["`source.topics` names no topic"]);
    said("topics = ['a', 'b c']", &["`source.topics` is not a topic's name", "f.toml:4:16"]);
    said("pattern = 'a('", &["`source.pattern` is no regular expression: unclosed group", "f.toml:4:11"]);
    said("pattern = 'o.*'", &["would read its own results: `out` matches its pattern", "f.toml:9:9"]);
    said("pattern = '.*dlq|in'", &["would read its own dead letters: `f.dlq` matches its pattern"]);
    said("", &["`topic` is missing in `[source]`"]);
}

#[test]
fn what_is_wrong_with_duplicates_is_said_at_its_place() {
    let said = |table: &str, expected: &[&str]| {
        let text = wrong(&GOOD.replace("[sink]", &format!("[source.deduplicate]\n{table}\n[sink]")), &[]);
        expected.iter().for_each(|part| assert!(text.contains(part), "{table}: {part:?} is not in\n{text}"));
    };
    said("", &["`by` is missing in `[source.deduplicate]`", "`within` is missing in `[source.deduplicate]`"]);
    said("by = 'key +'\nwithin = '1 h'", &["`source.deduplicate.by`: "]);
    said("by = 'key'\nwithin = '0 s'", &["`source.deduplicate.within` must be longer than nothing"]);
    said("by = 'key'\nwithin = '1 h'\nbloom = true", &["`bloom` is not a setting of `[source.deduplicate]`"]);
    said(
        "by = '${env:HOME:-key}'\nwithin = '1 h'",
        &["`source.deduplicate.by` has a `${…}` in an expression"],
    );
}
