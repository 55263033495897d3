//! Formats with settings of their own.

use std::fs;

use super::*;
use crate::{format::Format, settings::ProcessEnvironment};

/// What is wrong with a pipeline in a folder with schemas; nothing where it can run.
fn wrong(source: &str, sink: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    write("n.avsc", r#"{"type":"record","name":"N","fields":[{"name":"n","type":"long"}]}"#);
    write("bad.avsc", r#"{"type":"record"}"#);
    write("n.proto", "syntax = \"proto3\"; import \"m.proto\"; message N { uint64 n = 1; M m = 2; }");
    write("m.proto", "syntax = \"proto3\"; message M {}");
    let text = format!(
        "name = 'f'\n[source]\ntopic = 'in'\n{source}\n[operators.map]\nvalue = 'value'\n[sink]\ntopic = 'out'\n{sink}\n"
    );
    let file = folder.path().join("f.toml");
    match parse(file.to_str().unwrap(), &text, &[], &ProcessEnvironment) {
        Ok(_) => String::new(),
        Err(wrong) => {
            let sentences: Vec<&str> = wrong.iter().map(|one| one.sentence.as_str()).collect();
            sentences.join("; ").replace(folder.path().to_str().unwrap(), "FOLDER")
        }
    }
}

#[test]
fn a_schema_is_a_file_beside_the_pipelines_or_in_a_registry() {
    let (avro, protobuf) = ("format = 'avro'\n[source.avro]\n", "format = 'protobuf'\n[source.protobuf]\n");
    assert_eq!(wrong(&format!("{avro}schema = 'n.avsc'"), "format = 'json'"), "");
    assert_eq!(wrong(&format!("{avro}registry = 'http://r'"), "format = 'json'"), "");
    assert_eq!(
        wrong(&format!("{protobuf}schema = 'n.proto'\nmessage = 'N'"), "format = 'json'"),
        "",
        "with an import"
    );
    let sink = "format = 'avro'\n[sink.avro]\nregistry = 'https://r'\nschema = 'n.avsc'\nsubject = 'record'\nregister = true\nuser = 'u'\npassword = 'p'";
    assert_eq!(wrong("format = 'json'", sink), "");
}

#[test]
fn keys_and_topics_have_formats_with_the_same_settings() {
    let good = |source: &str| {
        let (pipeline, _) = parsed(&GOOD.replace("topic = \"in\"", source), &[]).unwrap();
        let Source { format, formats, key_format, .. } = pipeline.source.clone();
        let names = pipeline.operator_names();
        (format.name(), formats, key_format, names)
    };
    let (format, _, key_format, names) = good("topic = 'in'\nkey_format = 'json'");
    assert_eq!(
        (format, key_format.as_ref().map(Format::name)),
        ("text", Some("json")),
        "and `format` has its default"
    );
    assert_eq!(names, ["factorial"]);
    let (_, formats, key_format, names) =
        good("topics = ['in', 'b.c']\n[source.formats.'b.c']\nformat = 'bincode'");
    assert_eq!((formats, key_format), (vec![("b.c".to_owned(), Format::Bincode)], None));
    assert_eq!(names, ["source", "factorial"]);

    let key = "format = 'json'\nkey_format = 'avro'\n";
    let avro = |of: &str| format!("{key}[{of}.key_avro]\nschema = 'n.avsc'");
    assert_eq!(wrong(&avro("source"), &avro("sink")), "");
    assert_eq!(wrong(key, "format = 'json'"), "`schema` is missing in `[source.key_avro]`");
    assert_eq!(
        wrong("format = 'json'\n[source.key_avro]\nschema = 'n.avsc'", "format = 'json'"),
        "`[source.key_avro]` is for `key_format = \"avro\"`"
    );
    let avro = "format = 'json'\n[source.formats.in]\nformat = 'avro'\navro.schema = 'n.avsc'";
    assert_eq!(wrong(avro, "format = 'json'"), "");
    let empty = wrong("format = 'json'\n[source.formats.in]", "format = 'json'");
    assert_eq!(empty, "`format` is missing in `[source.formats.in]`");
    let unread = GOOD.replace("topic = \"in\"", "topic = 'in'\nformats.inn.format = 'json'");
    let warnings = parsed(&unread, &[]).unwrap().1.to_string();
    assert!(warnings.contains("`source.formats.inn` is for a topic that is not read"), "{warnings}");
    let schema = wrong(
        "format = 'avro'\navro.schema = 'n.avsc'\n[source.formats.in]\nformat = 'json'",
        "format = 'json'",
    );
    assert!(schema.ends_with("are written in `source.format` first, which has a schema"), "{schema}");
}

#[test]
fn settings_that_make_no_sense_are_refused() {
    let avro =
        |settings: &str| wrong(&format!("format = 'avro'\n[source.avro]\n{settings}"), "format = 'json'");
    assert_eq!(wrong("format = 'avro'", "format = 'json'"), "`schema` is missing in `[source.avro]`");
    assert!(
        avro("schema = 'none.avsc'").starts_with("`source.avro.schema`: FOLDER/none.avsc cannot be read: ")
    );
    assert_eq!(
        avro("schema = 'bad.avsc'"),
        "`source.avro.schema`: a type has no `name`: {\"type\":\"record\"}"
    );
    assert_eq!(
        avro("registry = 'r:8081'"),
        "`source.avro.registry`: it is an address such as \"http://127.0.0.1:8081\""
    );
    assert_eq!(
        avro("registry = 'http://r'\nuser = 'u'"),
        "`source.avro.registry`: it takes `user` and `password`, or a `token`"
    );
    assert_eq!(
        avro("schema = 'n.avsc'\ntoken = 't'"),
        "`source.avro.token`: it is for a `registry`, and there is none"
    );
    assert_eq!(
        avro("registry = 'http://r'\nca = 'n.avsc'"),
        "`source.avro.ca`: there is no certificate in it"
    );
    assert_eq!(
        wrong("format = 'json'\n[source.avro]\nschema = 'n.avsc'", "format = 'json'"),
        "`[source.avro]` is for `format = \"avro\"`"
    );
    let sink = |settings: &str| {
        wrong("format = 'json'", &format!("format = 'avro'\n[sink.avro]\nregistry = 'http://r'\n{settings}"))
    };
    assert_eq!(
        sink("subject = 'record'"),
        "`sink.avro.subject`: the record's name is in the schema, and there is no `schema`"
    );
    assert_eq!(sink("register = true"), "`sink.avro.register`: there is no `schema` to register");
    let protobuf = |settings: &str| {
        wrong(&format!("format = 'protobuf'\n[source.protobuf]\n{settings}"), "format = 'json'")
    };
    assert_eq!(
        protobuf("schema = 'n.proto'\nmessage = 'X'"),
        "`source.protobuf.schema`: there is no message `X`"
    );
    assert!(protobuf("schema = 'n.avsc'").starts_with("`source.protobuf.schema`: "));
}
