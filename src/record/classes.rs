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
    BAD_TIMESTAMP "bad-timestamp" "What `timestamp` would set is no time, or is too far from the record's own.";
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
         pipeline dead-letters replay orders.toml --class not-json --dry-run\n\
         pipeline dead-letters replay orders.toml --class not-json\n\
         ```\n\n\
         Once what was wrong is mended, a replay sends the records of one class to their source topics again: key, value, \
         timestamp and headers\nas they were, with the header `pipeline.replays`, which counts; each goes to the partition that Java's clients choose for its key. Records and position are in \
         one transaction (the embedded broker has none), so\na replay that is interrupted goes on where it was, and a later \
         one sends only what has come since: the position is that of the consumer group\n`GROUP-replay-CLASS`. What was \
         replayed three times (`--most`), and what was cut to fit the topic, stays. Nothing is taken out of the dead-letter\n\
         topic: its retention does that.\n\n\
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
