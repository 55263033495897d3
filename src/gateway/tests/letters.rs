use crate::{
    gateway::{ClassOf, Example, Shown, Summing},
    record::{Record, error},
};

fn letter(class: &str, key: &'static str, value: &'static [u8], time: i64, reason: &str) -> Record {
    let headers = [
        (error::CLASS, class.to_owned()),
        (error::MESSAGE, reason.to_owned()),
        (error::TOPIC, "orders".to_owned()),
        (error::PARTITION, "1".to_owned()),
        (error::OFFSET, "70".to_owned()),
    ];
    Record {
        key: Some(key.into()),
        value: Some(bytes::Bytes::from_static(value)),
        headers: headers.into_iter().collect(),
        timestamp: Some(time),
        ..Record::default()
    }
}

#[test]
fn letters_are_summed_up_by_class_with_their_times_and_the_last_ones() {
    let mut sum = Summing::default();
    for (offset, time) in [(1, 5_000), (2, 1_000), (3, 9_000), (4, 3_000)] {
        sum.add(0, offset, &letter("not-json", "k", b"x", time, "it is no JSON"));
    }
    sum.add(1, 9, &letter("tombstone", "t", b"", 7, "nothing there"));
    sum.add(1, 10, &Record::default());
    let summary = sum.sum(40, 2);
    assert_eq!((summary.looked_at, summary.older, summary.newer), (6, 40, 2));
    let classes: Vec<_> = summary.classes.iter().map(|class| (class.class.as_str(), class.count)).collect();
    assert_eq!(classes, [("not-json", 4), ("(no class)", 1), ("tombstone", 1)]);
    let ClassOf { oldest, newest, examples, .. } = &summary.classes[0];
    assert_eq!(oldest.as_deref(), Some("1970-01-01T00:00:01Z"));
    assert_eq!(newest.as_deref(), Some("1970-01-01T00:00:09Z"));
    assert_eq!(examples.iter().map(|example| example.offset).collect::<Vec<_>>(), [2, 3, 4]);
    let expected = Example {
        partition: 0,
        offset: 2,
        source_topic: "orders".to_owned(),
        source_partition: "1".to_owned(),
        source_offset: "70".to_owned(),
        time: Some("1970-01-01T00:00:01Z".to_owned()),
        key: Some(Shown { text: "k".to_owned(), bytes: 1 }),
        value: Some(Shown { text: "x".to_owned(), bytes: 1 }),
        reason: "it is no JSON".to_owned(),
    };
    assert_eq!(examples[0], expected);
    let nothing = &summary.classes[1];
    assert_eq!(
        (&nothing.oldest, &nothing.examples[0].key, &nothing.examples[0].value),
        (&None, &None, &None)
    );
}

#[test]
fn what_strangers_wrote_is_cut_and_moves_nothing() {
    let long = "ü".repeat(5_000);
    let mut letter = letter("x", "a\u{202e}b\nc\u{1b}[31m", &[b'a', 0xff, 0xfe], 0, &long);
    let example = Example::of(0, 0, &letter);
    assert_eq!(example.key.unwrap().text, "a\\u{202e}b\\nc\\u{1b}[31m");
    assert_eq!(example.value.unwrap(), Shown { text: "a\u{fffd}\u{fffd}".to_owned(), bytes: 3 });
    assert_eq!(example.reason, format!("{}…", "ü".repeat(600)));
    letter.value = Some(vec![b'v'; 1 << 20].into());
    let value = Example::of(0, 0, &letter).value.unwrap();
    assert_eq!(value, Shown { text: format!("{}…", "v".repeat(400)), bytes: 1 << 20 });
}

#[test]
fn however_many_classes_somebody_writes_there_is_an_end_of_them() {
    let mut sum = Summing::default();
    for n in 0..1_000 {
        sum.add(0, n, &letter(&format!("class-{n}"), "k", b"v", 0, ""));
    }
    let summary = sum.sum(0, 0);
    assert_eq!(summary.classes.len(), 101);
    assert_eq!((summary.classes[0].class.as_str(), summary.classes[0].count), ("(other classes)", 900));
}
