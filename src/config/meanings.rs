//! Every setting of a pipeline's file, its default and its meaning, in one place. `docs/settings.md` is made from it.

use super::{
    operator_meanings::OPERATORS,
    other_meanings::OTHERS,
    setting::{
        Otherwise::{Refused, Value, Words},
        Table, set,
    },
};

/// All tables, in the order of the document.
pub fn tables() -> impl Iterator<Item = &'static Table> {
    IN.iter().chain(OPERATORS).chain(OTHERS)
}

/// The tables before those of the operators.
#[rustfmt::skip] // one line a setting
const IN: &[Table] = &[
    Table { path: "", title: "Above all tables", about: "", settings: &[
        set("version", Value("1"), "The version of this format. A program refuses a file of a newer one ([stability.md](stability.md))."),
        set("name", Refused, "The pipeline's name: a label on every metric, and the consumer group's name."),
        set("guarantee", Value("\"at-least-once\""), "What holds when something fails. `\"at-least-once\"`: nothing is lost, and a result may come twice. `\"exactly-once\"`: each batch of results and its offsets are one transaction."),
        set("order", Value("\"partition\""), "Which results leave in the order of their records: all of a partition (`\"partition\"`), those of one key in a partition (`\"key\"`), or none (`\"none\"`)."),
    ] },
    Table { path: "source", title: "`[source]`", about: "Where records come from.", settings: &[
        set("topic", Words("see `topics`"), "The topic that is read. It is created if it is missing."),
        set("topics", Words("see `topic`"), "Several topics: `[\"orders\", \"returns\"]`. An expression sees by `topic` where its record comes from."),
        set("pattern", Words("see `topic`"), "A regular expression: every topic whose whole name matches it is read, new ones from a few seconds after they are made. None is created."),
        set("group", Words("the pipeline's name"), "The consumer group: workers of one group share the partitions."),
        set("format", Value("\"text\""), "How values are written: `\"text\"` (a number in digits), `\"json\"`, `\"bincode\"` (a number), `\"string\"` (UTF-8), `\"bytes\"`, `\"avro\"` or `\"protobuf\"` ([formats.md](formats.md))."),
        set("formats", Words("all topics have `format`"), "Other formats of some topics, by the topic's name, each with its settings: `formats.returns.format = \"avro\"` and `formats.returns.avro.schema = \"return.avsc\"`. Their values are written in `format` before anything else is done with them ([formats.md](formats.md#a-format-for-each-topic))."),
        set("key_format", Words("a key is text, or bytes that are none"), "How keys are written: `\"text\"` (a number in digits), `\"json\"`, `\"bincode\"` (a number), `\"string\"` (UTF-8), `\"bytes\"`, `\"avro\"` or `\"protobuf\"`. Expressions then see `key` with its fields: `key.region == 'eu'` ([formats.md](formats.md#keys))."),
        set("key_avro", Words("see [`[source.avro]`](#sourceavro)"), "With `key_format = \"avro\"`, its settings."),
        set("key_protobuf", Words("see [`[source.protobuf]`](#sourceprotobuf)"), "With `key_format = \"protobuf\"`, its settings."),
        set("requests", Value("false"), "`true`: a record may say by its headers where its reply is wanted, and until when ([gateway.md](gateway.md#the-same-from-any-kafka-client))."),
        set("deduplicate", Words("see [`[source.deduplicate]`](#sourcededuplicate)"), "Leaves out records that have come before."),
        set("partitions", Words("as the broker has it"), "Number of partitions, if the topic has to be created."),
        set("replication", Words("as the broker has it"), "Number of replicas of each partition, if the topic has to be created."),
        set("config", Words("as the broker has it"), "The topic's own settings, if it has to be created: `config.retention.ms = 3_600_000` (in ms)."),
        set("kafka", Words("see [`[kafka]`](#kafka)"), "Properties of librdkafka for the consumer alone."),
    ] },
    Table { path: "source.deduplicate", title: "`[source.deduplicate]`", about: "Leaves out records that have come before in their partition ([duplicates.md](duplicates.md)).", settings: &[
        set("by", Refused, "An [expression](expressions.md) that gives a record's id: `\"headers.id\"`, `\"key\"` or `\"value.order.id\"`. A record for which it gives null, or fails, is never left out."),
        set("within", Refused, "How far apart two records with one id are at most that are the same, by their timestamps: `\"24 h\"`. So much of each partition is read once more when a worker takes it over."),
        set("memory", Value("\"64 MiB\""), "Bytes that may be kept of ids, about 130 for each record of that time and the id's own; they count towards `limits.memory`, up to half of it. Where they do not fit, the oldest are forgotten, and the log says so."),
    ] },
    Table { path: "source.avro", title: "`[source.avro]`", about: "With `format = \"avro\"`: one of `schema` and `registry`, or both ([formats.md](formats.md)).", settings: &[
        set("schema", Words("values are read as they were written"), "The file with the schema, `order.avsc`; its name is relative to the folder of the pipeline's file. Values that other schemas have written are read as it says."),
        set("registry", Words("no registry: values have nothing around them"), "Where a schema registry with Confluent's interface is: `\"http://127.0.0.1:8081\"`. Values then begin with the id of their schema."),
        set("user", Words("nobody in particular"), "Who asks the registry, with a `password`."),
        set("password", Words("nobody in particular"), "The password: `\"${env:REGISTRY_PASSWORD}\"`."),
        set("token", Words("no token"), "A bearer token in their stead."),
        set("ca", Words("those of the system"), "A PEM file with the certificates that are trusted where the registry is at `https://`."),
    ] },
    Table { path: "source.protobuf", title: "`[source.protobuf]`", about: "With `format = \"protobuf\"`: one of `schema` and `registry`, or both ([formats.md](formats.md)).", settings: &[
        set("schema", Words("values are read as they were written"), "The file with the schema, `order.proto`; its name is relative to the folder of the pipeline's file."),
        set("message", Words("the first one in the file"), "The message's full name: `\"shop.Order\"`."),
        set("registry", Words("no registry: values have nothing around them"), "Where a schema registry with Confluent's interface is: `\"http://127.0.0.1:8081\"`. Values then begin with the id of their schema."),
        set("user", Words("nobody in particular"), "Who asks the registry, with a `password`."),
        set("password", Words("nobody in particular"), "The password: `\"${env:REGISTRY_PASSWORD}\"`."),
        set("token", Words("no token"), "A bearer token in their stead."),
        set("ca", Words("those of the system"), "A PEM file with the certificates that are trusted where the registry is at `https://`."),
    ] },
];
