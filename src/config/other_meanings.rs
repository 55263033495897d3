//! The tables behind those of the operators, as [`meanings`](super::meanings) has those before them.

use super::setting::{
    Otherwise::{Refused, Value, Words},
    Table, set,
};

/// The tables behind those of the operators.
#[rustfmt::skip] // one line a setting
pub const OTHERS: &[Table] = &[
    Table { path: "sink", title: "`[sink]`", about: "Where results go that no route takes.", settings: &[
        set("topic", Refused, "The topic that is written. It is created if it is missing."),
        set("format", Value("\"text\""), "How values are written: `\"text\"` (a number in digits), `\"json\"`, `\"bincode\"` (a number), `\"string\"` (UTF-8), `\"bytes\"`, `\"avro\"` or `\"protobuf\"` ([formats.md](formats.md))."),
        set("key_format", Words("keys go on as they came"), "How keys are written: `\"text\"` (a number in digits), `\"json\"`, `\"bincode\"` (a number), `\"string\"` (UTF-8), `\"bytes\"`, `\"avro\"` or `\"protobuf\"`. Keys are converted where the source has another one."),
        set("key_avro", Words("see [`[sink.avro]`](#sinkavro)"), "With `key_format = \"avro\"`, its settings; its subject is `orders-key`."),
        set("key_protobuf", Words("see [`[sink.protobuf]`](#sinkprotobuf)"), "With `key_format = \"protobuf\"`, its settings."),
        set("large", Value("\"dead-letter\""), "What becomes of a result that is larger than its topic takes: `\"dead-letter\"` makes its record one, `\"pieces\"` cuts the result into pieces, which a manifest names, `\"store\"` puts it into an object store ([large.md](large.md))."),
        set("store", Words("only with `large = \"store\"`"), "The object store: `\"file:///FOLDER\"`, or `\"s3://BUCKET/PREFIX\"` with the variables `AWS_…` of the environment ([large.md](large.md#in-an-object-store))."),
        set("partitions", Words("as the broker has it"), "Number of partitions, if the topic has to be created."),
        set("replication", Words("as the broker has it"), "Number of replicas of each partition, if the topic has to be created."),
        set("config", Words("as the broker has it"), "The topic's own settings, if it has to be created: `config.max.message.bytes = 2_000_000` (in bytes)."),
        set("kafka", Words("see [`[kafka]`](#kafka)"), "Properties of librdkafka for the producer alone."),
    ] },
    Table { path: "sink.avro", title: "`[sink.avro]`", about: "With `format = \"avro\"`: one of `schema` and `registry`, or both ([formats.md](formats.md)).", settings: &[
        set("schema", Words("the newest of the subject"), "The file with the schema, `order.avsc`; its name is relative to the folder of the pipeline's file."),
        set("registry", Words("no registry: values have nothing around them"), "Where a schema registry with Confluent's interface is: `\"http://127.0.0.1:8081\"`. Values then begin with the id of their schema."),
        set("user", Words("nobody in particular"), "Who asks the registry, with a `password`."),
        set("password", Words("nobody in particular"), "The password: `\"${env:REGISTRY_PASSWORD}\"`."),
        set("token", Words("no token"), "A bearer token in their stead."),
        set("ca", Words("those of the system"), "A PEM file with the certificates that are trusted where the registry is at `https://`."),
        set("subject", Words("by the topic"), "How the subject is named in the registry: by the topic (`\"topic\"`: `orders-value`), by the record's name (`\"record\"`), or both (`\"topic-record\"`)."),
        set("register", Words("it is looked up"), "`true`: a schema that the subject does not have is registered."),
    ] },
    Table { path: "sink.protobuf", title: "`[sink.protobuf]`", about: "With `format = \"protobuf\"`: one of `schema` and `registry`, or both ([formats.md](formats.md)).", settings: &[
        set("schema", Words("the newest of the subject"), "The file with the schema, `order.proto`; its name is relative to the folder of the pipeline's file."),
        set("message", Words("the first one in the file"), "The message's full name: `\"shop.Order\"`."),
        set("registry", Words("no registry: values have nothing around them"), "Where a schema registry with Confluent's interface is: `\"http://127.0.0.1:8081\"`. Values then begin with the id of their schema."),
        set("user", Words("nobody in particular"), "Who asks the registry, with a `password`."),
        set("password", Words("nobody in particular"), "The password: `\"${env:REGISTRY_PASSWORD}\"`."),
        set("token", Words("no token"), "A bearer token in their stead."),
        set("ca", Words("those of the system"), "A PEM file with the certificates that are trusted where the registry is at `https://`."),
        set("subject", Words("by the topic"), "How the subject is named in the registry: by the topic (`\"topic\"`: `orders-value`), by the record's name (`\"record\"`), or both (`\"topic-record\"`)."),
        set("register", Words("it is looked up"), "`true`: a schema that the subject does not have is registered."),
    ] },
    Table { path: "routes", title: "`[[routes]]`", about: "Where results go instead of the sink's topic; there may be many. The first one that takes a result gets it, and what none takes goes to `[sink]`. All of them, the dead letters and the offsets are in one transaction, if the guarantee is `exactly-once`.", settings: &[
        set("when", Words("any result"), "An [expression](expressions.md) that must hold for a result, as the operators have written it."),
        set("topic", Words("see `topics`"), "The topic that these results go to. It is created if it is missing."),
        set("topics", Words("see `topic`"), "Several topics by a name for each, of which `by` chooses one: `topics.de = \"orders-de\"`."),
        set("by", Words("only with `topics`"), "An expression that gives one of the names: `\"value.country\"`. A result for which it gives another one is not taken by this route."),
        set("format", Words("the sink's"), "How values are written there. A value is converted, if the operators have written another format."),
        set("avro", Words("see [`[sink.avro]`](#sinkavro)"), "With `format = \"avro\"`, its settings."),
        set("protobuf", Words("see [`[sink.protobuf]`](#sinkprotobuf)"), "With `format = \"protobuf\"`, its settings."),
        set("partitions", Words("as the broker has it"), "Number of partitions, if a topic has to be created."),
        set("replication", Words("as the broker has it"), "Number of replicas of each partition, if a topic has to be created."),
        set("config", Words("as the broker has it"), "The topics' own settings, if they have to be created."),
    ] },
    Table { path: "dead_letters", title: "`[dead_letters]`", about: "", settings: &[
        set("topic", Words("the source's, with `.dlq`; the pipeline's name with it, where there are several sources"), "Where records go that cannot be computed, unchanged and with the [reason in their headers](dead-letters.md). It is created as the source's topic is, if it is missing."),
    ] },
    Table { path: "progress", title: "`[progress]`", about: "", settings: &[
        set("topic", Words("it is told nowhere but in the metrics"), "Where it is told once a second how far each record is that takes longer than a second, for those who wait for its result ([large.md](large.md#how-far-it-is)). The topic is created if it is missing."),
    ] },
    Table { path: "state", title: "`[state]`", about: "What operators such as `aggregate` remember of earlier records, and the tables that `join` looks into ([state.md](state.md)).", settings: &[
        set("folder", Words("`$XDG_STATE_HOME/pipeline`, or the same in `~/.local/state`"), "Where it is kept on this machine, so that a worker that was killed goes on at once. Pipelines and processes that share a folder have places of their own in it."),
        set("memory", Value("\"64 MiB\""), "The most bytes of it in memory, about; they are not part of `limits.memory`. At least 8 MiB."),
        set("standby", Value("false"), "Whether this worker also keeps a copy of what is remembered of the partitions that other workers have, so that it can take one over at once."),
        set("changelog", Words("the group's name with `-changelog`"), "The compacted topic that has all that is remembered. It is created if it is missing, with as many partitions as the source has."),
    ] },
    Table { path: "commit", title: "`[commit]`", about: "When offsets are committed, or a transaction ends: whichever comes first.", settings: &[
        set("interval", Value("\"100 ms\""), "The longest time between two commits while there is something to commit."),
        set("records", Value("10_000"), "Records done since the last commit."),
    ] },
    Table { path: "limits", title: "`[limits]`", about: "", settings: &[
        set("memory", Value("\"256 MiB\""), "Bytes of record data that this process may hold: fetched, being computed, and not yet acknowledged. At least 16 MiB."),
        set("rate", Words("none"), "Records that this process reads in a second at most."),
        set("fair_by", Words("first come, first served"), "Requesters get equal shares of the cores, however much one of them asks for. They are told apart by the record's key (`\"key\"`) or by a header (`\"header NAME\"`, with `order = \"none\"`)."),
    ] },
    Table { path: "scale", title: "`[scale]`", about: "How many workers there should be, which `pipeline scale` says ([operating.md](operating.md#as-many-workers-as-the-work-wants)).", settings: &[
        set("empty_within", Value("\"30 s\""), "In which time the backlog should be empty: the shorter, the more workers are wanted."),
        set("min", Value("1"), "The fewest workers that are wanted; with 0 none, while nothing waits."),
        set("max", Words("as many as the source has partitions"), "The most workers that are wanted."),
        set("down_after", Value("\"2 min\""), "How long fewer workers must have been needed before fewer are wanted."),
    ] },
    Table { path: "retry", title: "`[retry]`", about: "For failures of an operator that pass by themselves.", settings: &[
        set("attempts", Value("5"), "How often a record is tried in all, before it becomes a dead letter; 1 to 1000."),
        set("backoff", Value("\"100 ms\""), "The pause before the second attempt. It doubles with each one, and is shortened by chance to half at the most."),
        set("max_backoff", Value("\"10 s\""), "The longest pause; `backoff` itself, where that is longer."),
        set("topic", Words("none"), "Where records wait whose attempts have failed, for minutes or hours, so that no other waits for them: `orders-retry` stands for the topics `orders-retry-1`, `orders-retry-2` and so on, which the pipeline writes and reads. It needs `after`, and `order` has to be `key`, with which the records of a key stay in order, or `none`. See [Later](later.md)."),
        set("after", Words("none"), "How long they wait in each of these topics: `[\"1 min\", \"1 h\"]`; 1 to 10 times. After each wait a record has all of its attempts again, and after the last ones it is a dead letter."),
    ] },
    Table { path: "retry.NAME", title: "`[retry.NAME]`", about: "The same for one kind of failure: `[retry.status-429]`. A record's attempts are counted together; its last failure decides whether there is another one, and when.", settings: &[
        set("attempts", Words("that of `[retry]`"), "As in `[retry]`."),
        set("backoff", Words("that of `[retry]`"), "As in `[retry]`."),
        set("max_backoff", Words("that of `[retry]`, or `backoff`"), "As in `[retry]`."),
    ] },
    Table { path: "shutdown", title: "`[shutdown]`", about: "", settings: &[
        set("timeout", Value("\"10 s\""), "How long a worker may take to finish what is in flight: at a stop, and when it hands a partition over."),
    ] },
    Table { path: "metrics", title: "`[metrics]`", about: "", settings: &[
        set("listen", Value("\"127.0.0.1:9464\""), "Where metrics, `/healthz` and `/readyz` are served. An address that is written must be free; if the default is taken, the next free port is announced at the start."),
    ] },
    Table { path: "control", title: "`[control]`", about: "A port at which the workers of the group are told to pause or how fast to read, as by `pipeline pause` ([operating.md](operating.md#pause-and-pace)). There is none without this table.", settings: &[
        set("listen", Value("\"127.0.0.1:9465\""), "Where it is served, by HTTP without TLS: leave it at a loopback address, or have something before it that has TLS. The address must be free."),
        set("token", Refused, "What a client must present, in `Authorization: Bearer`: `\"${env:CONTROL_TOKEN}\"` or `\"${file:/run/secrets/control}\"`. 16 characters at least."),
    ] },
    Table { path: "kafka", title: "`[kafka]`", about: "Any property of librdkafka, such as `bootstrap.servers`, for all clients; in `[source.kafka]` for the consumer alone, in `[sink.kafka]` for the producer alone. `PIPELINE_BOOTSTRAP_SERVERS` wins over the file's `bootstrap.servers`. Some properties have defaults of our own: with `session.timeout.ms = 8000` a dead worker's partitions are another's after 8 s.", settings: &[] },
    Table { path: "test", title: "`[[test]]`", about: "A test case for `pipeline test`; there may be many.", settings: &[
        set("name", Words("`test` and its number"), "What the case shows."),
        set("input", Refused, "The record that goes in, or an array of them."),
        set("answers", Words("the services themselves are asked"), "What services answer to one call after another, by the table of the `http` operator that asks, so that none need be there: `answers.score = [{ status = 503 }, { value = { id = 7 } }]`. One table stands for an array of one; the last answer is that of all further calls; `value` may be a string; `status` is 200 where it is not written."),
        set("tables", Words("every topic that is looked into is empty"), "What topics have that `join` looks into, by the topic's name and the key ([state.md](state.md#rows-in-a-test)): `tables.customers.c1 = { name = \"Ada\" }`. A table or an array stands for JSON; a string is the value as the topic has it."),
        set("output", Words("no result: it is dropped, or a dead letter"), "The results that must come out, in order. A key or a header is compared only where it is written."),
        set("dead_letters", Words("no dead letter"), "The [classes](dead-letters.md#classes) of the dead letters that must come out, in order, such as `\"not-a-number\"`."),
    ] },
    Table { path: "test.input", title: "A record of a test", about: "In `input` and `output`: a value alone, or `{ key = \"k\", value = \"30\", headers = { name = \"x\" } }`.", settings: &[
        set("key", Words("no key"), "The record's key."),
        set("topic", Words("not compared"), "Of a result: the topic that it goes to."),
        set("value", Words("none: a tombstone"), "The record's value; a table or an array stands for JSON, which is compared as JSON."),
        set("headers", Words("no headers"), "The record's headers, by name."),
    ] },
];
