//! What settings may be together.

use proptest::{prelude::*, sample::Index};

use super::*;

#[test]
fn settings_that_contradict_each_other_are_errors() {
    let dead_letters = "[dead_letters]\ntopic = ";
    assert_wrong(&[
        (
            &format!("{dead_letters}'in'"),
            &["the pipeline would read its own dead letters: `in`", "f.toml:11:9"],
        ),
        (
            &format!("{dead_letters}'out'"),
            &["dead letters would be among the results of `out`", "f.toml:11:9"],
        ),
        (
            "[limits]\nmemory = '8 MiB'",
            &["8.0 MiB is too little to work with", "f.toml:11:10", "at least 16.0 MiB"],
        ),
        (
            "[limits]\nfair_by = 'key'",
            &["results cannot leave in the order of their partition", "f.toml:11:11", "order = \"none\""],
        ),
        ("[limits]\nfair_by = 'tenant'", &["`limits.fair_by` cannot be `tenant`", "header NAME"]),
        (
            "config.max.message.bytes = 1000",
            &["can need 973455 bytes, and this topic takes 1000", "f.toml:10:28"],
        ),
        ("config.max.message.bytes = 'x'", &["`max.message.bytes` must be a number of bytes"]),
        ("[sink.kafka]\nmessage.max.bytes = 2000", &["the producer sends at most 2000", "f.toml:11:21"]),
        (
            "[retry]\nbackoff = '2s'\nmax_backoff = '1s'",
            &["the longest pause (1s) is shorter than the first (2s)"],
        ),
        (
            "[retry]\ntopic = 'r'\nafter = ['1 min']",
            &["a record that waits in a retry topic comes behind those that were after it", "f.toml:11:9"],
        ),
        (
            "[retry]\ntopic = 'r'",
            &["`retry.topic` does not say how long records wait there", "after = [\"1 min\", \"1 h\"]"],
        ),
        ("[retry]\nafter = ['1 min']", &["`retry.after` does not say in which topics records wait"]),
        (
            "[retry]\ntopic = 'r'\nafter = []",
            &["`retry.after` has 0 times, and may have 1 to 10", "f.toml:12:9"],
        ),
        ("[retry]\ntopic = 'r'\nafter = '1 min'", &["`retry.after` must be an array of times, not a string"]),
        (
            "[retry]\ntopic = 'r'\nafter = ['1 min', 'x']",
            &["`retry.after`: \"x\" is not a duration", "f.toml:12:19"],
        ),
        (
            "[shutdown]\ntimeout = '5min'",
            &["a stop may take 5m, longer than `max.poll.interval.ms` (5m)", "f.toml:11:11"],
        ),
    ]);
    let taken = wrong(
        GOOD.replace("\"out\"", "\"r-2\"").as_str(),
        &["order=none", "retry.topic=r", "retry.after=['1s', '2s']"],
    );
    assert!(taken.contains("the retry topic `r-2` is read or written otherwise too"), "{taken}");
    let same = wrong(&GOOD.replace("\"out\"", "\"in\""), &[]);
    assert!(
        same.contains("the pipeline would read its own results: `in`") && same.contains("f.toml:9:9"),
        "{same}"
    );
    let too_much = wrong(GOOD, &["operators.factorial.max_n=1000000", "limits.memory=16 MiB"]);
    assert!(
        too_much.contains("one result of `factorial` can have 5.3 MiB, too much for 16.0 MiB"),
        "{too_much}"
    );
    let slow = wrong(GOOD, &["guarantee=exactly-once", "commit.interval=6s"]);
    assert!(slow.contains("a transaction lasts 6s, and the broker aborts it after"), "{slow}");
    good("", &["guarantee=exactly-once", "commit.interval=6s", "sink.kafka.transaction.timeout.ms=60000"]);
}

#[test]
fn values_are_converted_where_they_pass_through_and_the_formats_differ() {
    let identity = format!("{}format = 'json'\n", GOOD.replace("factorial", "identity"));
    let converts = parsed(&identity, &[]).unwrap().0;
    assert!(converts.router.is_some());
    let passes = parsed(&identity, &["source.format=json"]).unwrap().0;
    assert!(passes.router.is_none(), "nothing is read that is only handed on");
    let sets = |sets: &[&str]| parsed(&identity, &[&["source.format=json"], sets].concat()).unwrap().0.router;
    assert!(sets(&["source.key_format=json"]).is_none(), "keys go on as they came");
    assert!(sets(&["source.key_format=json", "sink.key_format=json"]).is_none());
    assert!(sets(&["sink.key_format=json"]).is_some());
    let written = good("format = 'json'\n", &[]);
    assert!(written.router.is_none(), "the factorial writes its results as the sink wants them");
}

#[test]
fn what_may_disappoint_is_a_warning_and_the_pipeline_can_run() {
    let warned = |sets: &[&str]| parsed(GOOD, sets).unwrap_or_else(|wrong| panic!("{wrong}")).1.to_string();
    let large = warned(&["operators.factorial.max_n=500_000"]);
    assert!(large.starts_with("f.toml: 1 warning\n"), "{large}");
    assert!(large.contains("a topic takes 1048588 unless it says otherwise"), "{large}");
    assert!(large.contains("in --set operators.factorial.max_n=500_000"), "{large}");
    assert!(large.contains("set `max.message.bytes = 2632446` in `[sink.config]`"), "{large}");
    let fits = warned(&["operators.factorial.max_n=500_000", "sink.config.max.message.bytes=2632446"]);
    assert_eq!(fits, "f.toml:");
    let retries = warned(&["retry.attempts=100", "retry.max_backoff=1min"]);
    assert!(retries.contains("longer than `max.poll.interval.ms` (5m)"), "{retries}");
}

proptest! {
    #[test]
    fn no_change_to_a_file_makes_its_reader_panic(
        file: Index,
        cut: Index,
        pieces in proptest::collection::vec((any::<Index>(), any::<Index>(), any::<Index>()), 0..3),
        changes in proptest::collection::vec((any::<Index>(), any::<char>()), 0..4),
    ) {
        let files = [
            include_str!("../../../pipelines/factorial.toml"),
            include_str!("../../../pipelines/gateway.toml"),
            GOOD,
            "[kafka]\nsasl.password = \"${env:PASSWORD}\"\nclient.id = 5\n[retry]\nattempts = 3\n[limits]\nmemory = \"1 GiB\"\n",
            "[metrics]\nlisten = \"[::1]:1\"\n[[test]]\ninput = [{ key = \"k\", headers = { a.b = \"c\" } }, {}]\n",
        ];
        let mut text: Vec<char> = file.get(&files).chars().collect();
        text.truncate(cut.index(2 * text.len()));
        for (other, from, to) in pieces {
            let other: Vec<char> = other.get(&files).chars().collect();
            let (from, to) = (from.index(other.len()), to.index(other.len()));
            text.extend(&other[from.min(to)..from.max(to)]);
        }
        for (place, character) in changes {
            if !text.is_empty() {
                let place = place.index(text.len());
                text[place] = character;
            }
        }
        let text: String = text.into_iter().collect();
        let said = [
            parsed(&text, &[]).err().map(|wrong| wrong.to_string()),
            parse_gateway("f.toml", &text, &[], &Empty).err().map(|wrong| wrong.to_string()),
        ];
        prop_assert!(said.iter().flatten().all(|said| !said.is_empty() && !said.contains("hunter2")), "{:?}", said);
    }
}

#[test]
fn operators_that_remember_are_as_many_as_can_be_told_apart() {
    let file = |count: usize| {
        let one =
            |n: usize| format!("[operators.d{n}]\noperator = 'deduplicate'\nby = 'key'\nwithin = '1 h'\n");
        let operators: String = (0..count).map(one).collect();
        format!(
            "name = 'f'\n[source]\ntopic = 'in'\nformat = 'json'\n{operators}[sink]\ntopic = 'out'\nformat = 'json'\n"
        )
    };
    assert!(parsed(&file(100), &[]).is_ok());
    let said = wrong(&file(101), &[]);
    assert!(said.contains("101 operators remember something, and 100 are told apart"), "{said}");
}
