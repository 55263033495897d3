//! The tables of operators, as [`meanings`](super::meanings) has those of all else.

use super::setting::{
    Otherwise::{Refused, Value, Words},
    Table, set,
};

#[rustfmt::skip] // one line a setting
pub const OPERATORS: &[Table] = &[
    Table { path: "operators.NAME", title: "`[operators.NAME]`", about: "What is done to each record, in the order in which the tables are written; at least one, where there is no route and the formats are the same.", settings: &[
        set("operator", Words("the table's own name"), "Which operator it is: `operator = \"filter\"` where the table has another name."),
    ] },
    Table { path: "operators.factorial", title: "Operator `factorial`", about: "", settings: &[
        set("max_n", Value("200_000"), "The largest n that is computed; a larger one becomes a dead letter."),
        set("memory", Value("\"128 MiB\""), "Bytes that may be kept of results, for later ones; they are not part of `limits.memory`."),
        set("finished", Words("nothing is kept"), "How much of the disk may keep finished results, whoever computed them: `\"1 GiB\"`. An n that takes longer than a millisecond is computed once, by one worker ([state.md](state.md#finished-factorials))."),
    ] },
    Table { path: "operators.filter", title: "Operator `filter`", about: "A record is handed on, as it came, if all conditions that are written hold. At least one must be written.", settings: &[
        set("when", Words("any"), "An [expression](expressions.md) that must hold."),
        set("min", Words("any"), "The smallest number that the value may be: a bare number, in JSON also `{\"n\": 30}`. A value that is no number becomes a dead letter. Another field is compared in `when`: `\"value.amount >= 100\"`."),
        set("max", Words("any"), "The largest number that the value may be, as with `min`."),
        set("key_prefix", Words("any"), "What the key must begin with."),
        set("header", Words("any"), "A header that the record must have: `{ name = \"tier\", equals = \"gold\" }`."),
    ] },
    Table { path: "operators.aggregate", title: "Operator `aggregate`", about: "Results of the records of each key, in all or in windows of time ([state.md](state.md)). The result is an object, under the same key.", settings: &[
        set("results", Refused, "What is computed, by the field that it becomes: `\"count\"`, or `sum`, `min`, `max`, `average` or `collect` with an [expression](expressions.md): `results.total = { sum = \"value.amount\" }`. A record for which the expression gives `null` is left out of that result."),
        set("window", Words("all of time is one"), "How long a window is; they follow one another from 1970 UTC on. A record's timestamp says in which one it is."),
        set("grace", Value("\"0 s\""), "How long after the end of a window its records are still taken, by the newest timestamp of the partition. Later ones become dead letters."),
        set("emit", Words("`\"close\"` with windows, otherwise `\"change\"`"), "When results are handed on: `\"close\"`: once, when their window is closed; `\"change\"`: after each record."),
    ] },
    Table { path: "operators.deduplicate", title: "Operator `deduplicate`", about: "Hands on the first record with an id, and drops those that come within some time of it ([duplicates.md](duplicates.md)).", settings: &[
        set("by", Refused, "An [expression](expressions.md) that gives a record's id: `\"headers.id\"`. A record that has none, or cannot be read, is handed on."),
        set("within", Refused, "How far the timestamps of two records are apart at most that are the same: `\"24 h\"`. Ids are kept for two to three times as long."),
    ] },
    Table { path: "operators.join", title: "Operator `join`", about: "Sets a field to the newest value that a compacted topic has under a key ([state.md](state.md#tables)). Each worker reads all of the topic, before its first record and from then on.", settings: &[
        set("topic", Refused, "The topic; it has to be there."),
        set("format", Value("\"json\""), "How its values are written: `\"json\"` or `\"string\"`."),
        set("by", Words("the record's key"), "An [expression](expressions.md) that gives the key that is looked up: `\"value.customer\"`."),
        set("into", Refused, "The field that is set, with dots for one in an object: `\"customer\"`."),
        set("missing", Value("\"null\""), "What becomes of a record whose key is not there: the field is `null` (`\"null\"`), it is dropped (`\"drop\"`), or it becomes a dead letter (`\"dead-letter\"`)."),
        set("copartitioned", Value("false"), "Whether a key is in the partition with the same number in both topics. Then a worker reads only the partitions that it works on, which may be large ([state.md](state.md#large-tables))."),
    ] },
    Table { path: "operators.map", title: "Operator `map`", about: "Another value, or other fields of a JSON object. All expressions see the record as it came.", settings: &[
        set("value", Words("the value stays"), "An [expression](expressions.md) that gives the new value."),
        set("set", Words("no field"), "Expressions by the field that they set: `set.total = \"value.price * value.count\"`."),
        set("remove", Words("no field"), "The fields that are taken out: `[\"card\", \"customer.email\"]`."),
    ] },
    Table { path: "operators.key", title: "Operator `key`", about: "", settings: &[
        set("to", Refused, "An [expression](expressions.md) that gives the new key, which is written in the sink's `key_format`; `null` is none."),
    ] },
    Table { path: "operators.headers", title: "Operator `headers`", about: "", settings: &[
        set("set", Words("no header"), "[Expressions](expressions.md) by the header that they set: `set.region = \"value.region\"`; `null` sets none."),
        set("remove", Words("no header"), "The names of the headers that are taken out."),
    ] },
    Table { path: "operators.command", title: "Operator `command`", about: "Runs a program beside the worker, without a shell: it reads records as lines of JSON, and answers with lines ([code.md](code.md#a-program)).", settings: &[
        set("run", Refused, "The program and its arguments: `[\"python3\", \"score.py\"]`."),
        set("processes", Value("1"), "How many of it run at once, 1 to 1,000."),
        set("batch", Value("100"), "The most records that one is given at a time, 1 to 2,000."),
        set("timeout", Value("\"30 s\""), "How long one may be without an answer. Then it is killed, and its records are tried again."),
        set("max_response", Value("\"1 MiB\""), "The longest line that it may answer."),
        set("memory", Words("no bound"), "The most memory that each may use (Linux): its address space, which is more than what it holds."),
        set("cores", Words("all"), "How many of the worker's cores each may use (Linux)."),
        set("env", Words("none"), "Variables of its environment: `env.MODEL = \"a\"`. Of the worker's own it has `PATH`, `HOME`, `LANG`, `LC_ALL`, `TZ` and `TMPDIR`."),
    ] },
    Table { path: "operators.http", title: "Operator `http`", about: "Sends each value to a service; what it answers is the new value, in the sink's format ([code.md](code.md#a-service)).", settings: &[
        set("url", Refused, "Where the service is: `\"http://127.0.0.1:9000/score\"`."),
        set("path", Words("nothing"), "An [expression](expressions.md): what is added to the URL's path."),
        set("method", Value("\"POST\""), "`\"POST\"`, `\"PUT\"` or `\"PATCH\"`."),
        set("headers", Words("none"), "Headers of each request: `headers.x-team = \"orders\"`. Secrets are filled in: `\"${env:KEY}\"`."),
        set("token", Words("none"), "A bearer token: `\"${env:SCORE_TOKEN}\"`."),
        set("timeout", Value("\"10 s\""), "How long an answer may take. Then it counts as a failure that may pass."),
        set("concurrency", Value("64"), "How many calls may be under way at once, whatever the number of partitions."),
        set("batch", Value("1"), "The most records in one call, 1 to 2,000: with more than one they go as an array of objects, and so do the answers ([code.md](code.md#several-records-in-a-call))."),
        set("max_response", Value("\"1 MiB\""), "The largest answer. A larger one makes the record a dead letter."),
        set("retry", Value("[\"408\", \"425\", \"429\", \"5xx\"]"), "Statuses after which the record is tried again, as `[retry]` says; with `Retry-After` not before that, and not counted."),
        set("drop", Value("[\"204\"]"), "Statuses that drop the record. Any other that is not 2xx makes it a dead letter."),
    ] },
    Table { path: "operators.wasm", title: "Operator `wasm`", about: "Has a WASM component compute, in a sandbox: many records a call ([code.md](code.md#a-component)). For a `pipeline` that was built with `--features wasm`.", settings: &[
        set("component", Refused, "The file of the component, `score.wasm`; its name is relative to the folder of the pipeline's file."),
        set("memory", Value("\"64 MiB\""), "The most memory that one instance may use; there is one for each core. What they hold now, a megabyte or two each at the start, counts towards `limits.memory`, up to half of it."),
        set("fuel", Value("1_000_000_000"), "How much it may compute in one call, about one for each instruction: the default is half a second or so. A call has up to 2,000 records, as many as take two milliseconds; where it runs out, each record is given alone, with as much. Nothing else ends a loop."),
        set("grant", Words("nothing"), "What it may use beside its records: `[\"clock\"]`, the time."),
        set("config", Words("none"), "Strings that it reads by their names, numbers too: `config.limit = \"200\"`."),
    ] },
    Table { path: "operators.split", title: "Operator `split`", about: "Each record has the key, headers and timestamp of the one that had the list, and the header `pipeline.index`, from 0.", settings: &[
        set("into", Refused, "An [expression](expressions.md) that gives a list; each element becomes a record."),
    ] },
    Table { path: "operators.sample", title: "Operator `sample`", about: "Which records are handed on is no chance: a record that is done again is decided the same way.", settings: &[
        set("rate", Refused, "The part that is handed on, from 0 to 1."),
        set("by", Words("the key and the value"), "An [expression](expressions.md): records for which it gives the same go or stay together."),
    ] },
    Table { path: "operators.timestamp", title: "Operator `timestamp`", about: "", settings: &[
        set("to", Refused, "An [expression](expressions.md) that gives the new timestamp: an instant, its text as in `2026-01-31T12:00:00Z`, or milliseconds since 1970 UTC; `null` leaves it as it is."),
        set("within", Value("\"7 days\""), "How far it may be from the record's own; one that is farther away makes a dead letter."),
    ] },
];
