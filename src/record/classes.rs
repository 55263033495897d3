//! What a dead letter says of itself: the classes of trouble.

/// Makes a constant of each name, with what it means as its documentation, and a list of all.
macro_rules! named {
    ($(#[$doc:meta])* $list:ident: $($name:ident $text:literal $meaning:literal;)*) => {
        $(#[doc = $meaning] pub const $name: &str = $text;)*
        $(#[$doc])*
        pub const $list: &[(&str, &str)] = &[$(($name, $meaning)),*];
    };
}
pub(super) use named;

#[rustfmt::skip] // one line a class
named! {
    /// Each class with what it means.
    CLASSES:
    TOMBSTONE "tombstone" "The record has no value, and a number is needed.";
    EMPTY "empty" "The value has no bytes, and something is needed.";
    NOT_UTF8 "not-utf8" "The value is not UTF-8, and its format is text.";
    NOT_A_NUMBER "not-a-number" "The value is not a whole number, and one is needed: by `factorial`, by `min` and `max` of `filter`, or by the format.";
    NEGATIVE "negative" "The number is below 0.";
    ABOVE_MAX "above-max" "The number is above `max_n` of `factorial`, or does not fit 64 bits.";
    NOT_JSON "not-json" "The value is not JSON, or JSON that cannot be read, such as one that is nested too deep.";
    NOT_AVRO "not-avro" "The value is not Avro of its schema, or has no schema's id in front where it must.";
    NOT_PROTOBUF "not-protobuf" "The value is not Protobuf of its schema, or has no schema's id in front where it must.";
    UNKNOWN_SCHEMA "unknown-schema" "The schema registry does not have the schema of the value's id, or it cannot be used.";
    NOT_WRITABLE "not-writable" "The sink's format cannot hold what an operator has made.";
    EXPRESSION_FAILED "expression-failed" "An expression has no result for this record: a field is not there, or is of another kind. The message says which part of it, and why.";
    NOT_AN_OBJECT "not-an-object" "A field is to be set or removed, and what it would be in is no object.";
    NOT_A_LIST "not-a-list" "`into` of `split` gives no list.";
    BAD_TIMESTAMP "bad-timestamp" "What `timestamp` would set is no time, or is too far from the record's own. Or the record has none, and `aggregate` or `deduplicate` needs one.";
    NO_KEY "no-key" "The record has no key, and `aggregate` computes something for each key.";
    NOT_IN_TABLE "not-in-table" "The table of `join` has nothing under the key that is looked up.";
    TOO_LATE "too-late" "The window of `aggregate` that the record is in is closed.";
    STATE_TOO_LARGE "state-too-large" "`aggregate` would have to keep more of the record's group than it may: 1,000 collected values, or 512 KiB. Or the key, or the id of `deduplicate`, is longer than 32 KiB.";
    RESULT_TOO_LARGE "result-too-large" "The result is larger than its topic takes.";
    RESULT_REFUSED "result-refused" "The broker refuses the result for another reason, which the message quotes.";
    REFUSED_BY_SERVICE "refused-by-service" "The service that `http` asks refuses the record: it answered a status that is neither success, nor tried again. The message quotes it.";
    REFUSED_BY_PROGRAM "refused-by-program" "The program that `command` runs refuses the record: it answered `error`, which the message quotes.";
    REFUSED_BY_COMPONENT "refused-by-component" "The component that `wasm` runs refuses the record: it answered `refused`, whose reason the message quotes.";
    COMPONENT_TRAPPED "component-trapped" "The component that `wasm` runs broke off at this record, as it does after a panic. The message has its last line for the log.";
    OUT_OF_FUEL "out-of-fuel" "The component that `wasm` runs used more than its `fuel` for this record alone.";
    OUT_OF_MEMORY "out-of-memory" "The component that `wasm` runs needs more than its `memory` for this record alone.";
    BAD_ANSWER "bad-answer" "What a service, a program or a component answered is too large, or is no value in the sink's format.";
    RETRIES_EXHAUSTED "retries-exhausted" "An operator failed in passing `retry.attempts` times, and as often after each wait in a retry topic, where there are such.";
    OPERATOR_PANICKED "operator-panicked" "An operator panicked: a defect of the program. The message is the panic's.";
}

/// `docs/dead-letters.md`.
#[cfg_attr(not(internals), doc(hidden))]
pub fn dead_letters_document() -> String {
    let rows = |list: &[(&str, &str)]| -> String {
        list.iter().map(|(name, meaning)| format!("| `{name}` | {meaning} |\n")).collect()
    };
    format!(
        "# Dead letters\n\n\
         A record that can never be computed goes to the dead-letter topic, as it came: the same key, value, headers and \
         timestamp.\nHeaders are added that say what was wrong. The topic is the source's name with `.dlq`, unless\n\
         [`dead_letters.topic`](settings.md#dead_letters) says another. The records behind it go on.\n\n\
         A worker logs the first dead letter of each class at once, and then a line a minute with how many more there \
         were.\n`pipeline_dead_letters_total` counts them by class. A `[[test]]` of the pipeline's file says which \
         classes it expects:\n`dead_letters = [\"not-json\"]`.\n\n\
         ## Classes\n\n| class | when |\n|---|---|\n{}\n\
         A key that is none of its `key_format` has the same classes, and the message says that it is the key.\n\n\
         ## Headers\n\n| header | what it says |\n|---|---|\n{}\n\
         All are text. A record that is read from a dead-letter topic and fails again has each of them twice: the last one\n\
         counts.\n\n\
         ## To do them again\n\n\
         ```sh\n\
         pipeline dead-letters list orders.toml                       # how many of each class, with an example\n\
         pipeline dead-letters show orders.toml --class not-json      # key, value, and what was wrong\n\
         pipeline dead-letters replay orders.toml --class not-json --dry-run    # what would be sent, with examples\n\
         pipeline dead-letters replay orders.toml --class not-json    # once what was wrong is mended\n\
         ```\n\n\
         A replay sends records to their source topics again: key, value, timestamp and headers as they were, with the header\n\
         `pipeline.replays`, which counts; each goes to the partition that Java's clients choose for its key. It ends with how many were\n\
         replayed, and how many are left. `--rate` says how many letters are read in a second, and `--limit` how many are replayed:\n\
         the same command goes on behind them. Nothing is taken out of the\n\
         dead-letter topic: its retention does that, or `pipeline dead-letters drop orders.toml --until 7days`, which asks before. Kafka takes\n\
         records out from a partition's beginning on, so what matches behind others stays, and is counted; `--dry-run` counts alone.\n\n\
         The page [`/dead-letters`](gateway.md#dead-letters) of a gateway shows them in a browser, and replays a class of them.\n\n\
         ### Which\n\n\
         `list`, `show`, `replay` and `drop` have the same filters. All that are given must hold.\n\n\
         | filter | which dead letters |\n|---|---|\n\
         | `--class not-json` | Those of this class. |\n\
         | `--since TIME`, `--until TIME` | Those whose records' own timestamps are at this time or later, or are earlier: `2026-01-31T12:00:00Z`, or `2h` ago. |\n\
         | `--key TEXT` | Those with exactly this key. |\n\
         | `--header NAME=VALUE` | Those with this header; those of the table above count too: `pipeline.error.topic=orders`. It may be given several times. |\n\
         | `--when EXPRESSION` | Those for whose records the [expression](expressions.md) holds, as they were in their source topic, in its format. A record that cannot be read, or of which the expression has no result, does not match: with `!` before it, neither. |\n\n\
         ### What holds\n\n\
         - Records and position are in one transaction (the embedded broker has none). The same command goes on where it was interrupted, and\n  \
         later sends only what has come since: none is sent twice by one filter, however much later.\n\
         - Brokers forget the offsets of a group that has had no members for `offsets.retention.minutes`, a week by default (KIP-211). So each transaction\n  \
         in which something is sent has a mark too, in each partition of the dead-letter topic in which the replay has come further: a record\n  \
         with the header `pipeline.replay-mark`, which names the group, and the position as its value. It lies behind all letters that it speaks\n  \
         of, so that retention and `drop` take it away after those. Where the broker knows no offset of the group, the next replay reads the marks, and\n  \
         commits what they say before it sends anything. A topic that is made again has neither those letters nor their marks.\n\
         - Marks are no letters: these commands and the gateway's page leave them out. Whatever else reads the topic should leave out what has no\n  \
         `pipeline.error.class`. Who replays needs the right to write the dead-letter topic.\n\
         - To send on purpose what a filter has sent, write another one: add `--since 1970-01-01T00:00:00Z`. That a group is deleted changes nothing.\n\
         - Each filter has a position of its own, that of the consumer group `GROUP-replay-CLASS`; where more is given than a class, a hash\n  \
         of it all is behind that. So nothing is lost because another filter has passed over it. But filters know nothing of each\n  \
         other: what matches two of them is sent by both.\n\
         - So a replay takes no `2h`, which would be another filter at each start. The error, and a dry run, say the time to write.\n\
         - What was replayed three times (`--most`) is skipped. `--header pipeline.replays=3 --most 4` sends that once more, and nothing else.\n\
         - What was cut to fit the topic, or came from a topic that the pipeline does not read, is skipped. The position goes past it\n  \
         too: once the pipeline reads that topic, `--header pipeline.error.topic=TOPIC` finds it.\n\
         - What a filter's expression did not match stays unmatched for this filter. Where the source has another format now, it is another\n  \
         filter; another schema makes none.\n\n\
         <!-- Made from `src/record/classes.rs` and `names.rs`: `UPDATE=1 cargo test --lib dead_letters_document` -->\n",
        rows(CLASSES),
        rows(super::error::HEADERS),
    )
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use super::*;

    #[test]
    fn dead_letters_document_agrees_with_the_constants() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/dead-letters.md");
        if std::env::var_os("UPDATE").is_some() {
            fs::write(path, dead_letters_document()).unwrap();
        }
        let committed = fs::read_to_string(path).unwrap();
        let hint = "regenerate it: UPDATE=1 cargo test --lib dead_letters_document";
        assert!(committed == dead_letters_document(), "{hint}");
    }

    /// A class that is written out where it arises would be missing in the list.
    #[test]
    fn no_class_is_written_out_where_it_arises() {
        for folder in ["operator", "format", "engine", "testing"] {
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(folder);
            for file in fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()) {
                let Ok(text) = fs::read_to_string(&file) else { continue };
                let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
                for written in ["class: \"", "class = \"", "(_) => \""] {
                    assert!(!code.contains(written), "{}: a class is a constant: {written}", file.display());
                }
            }
        }
    }
}
