//! Avro against the specification; what Java writes is in `tests/it`.

use std::time::Duration;

use super::*;
use crate::{
    cpu_time::cpu_time,
    format::Format,
    value::{Fields, write_json},
};

pub fn schema(text: &str) -> Schema {
    Schema::parse(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

pub fn avro(text: &str) -> Avro {
    Avro::new(schema(text))
}

pub fn json(value: &Value) -> String {
    let mut text = Vec::new();
    write_json(value, &mut text).unwrap();
    String::from_utf8(text).unwrap()
}

/// What is read where one schema has written the value of that JSON, and another one reads it.
fn resolved(writer: &str, reader: &str, value: &str) -> Result<String, String> {
    let writer = schema(writer);
    let bytes = write::value(&writer, &Value::Json(value.to_owned().into()), Vec::new()).unwrap();
    let plan = Plan::new(&writer, &schema(reader));
    read::value(&plan, &bytes.into(), &Wanted::All, Others::Kept).map(|value| json(&value))
}

/// A value that is written and read again.
fn through(schema: &str, value: &str) -> String {
    resolved(schema, schema, value).unwrap()
}

fn refused(schema: &str, value: &str) -> String {
    avro(schema).write(&Value::Json(value.to_owned().into())).unwrap_err().to_string()
}

fn bad(text: &str, bytes: &[u8]) -> String {
    let error = avro(text).read(&bytes.to_vec().into(), &Wanted::All, Others::Kept).unwrap_err();
    assert_eq!(error.class(), "not-avro");
    error.to_string().strip_prefix("the value is not Avro of its schema: ").unwrap().to_owned()
}

pub const ORDER: &str = r#"{"type":"record","name":"Order","namespace":"shop","fields":[
    {"name":"id","type":"long"},
    {"name":"customer","type":["null","string"],"default":null},
    {"name":"amount","type":{"type":"bytes","logicalType":"decimal","precision":9,"scale":2}},
    {"name":"at","type":{"type":"long","logicalType":"timestamp-millis"}},
    {"name":"state","type":{"type":"enum","name":"State","symbols":["NEW","PAID"]}},
    {"name":"items","type":{"type":"array","items":{"type":"record","name":"Item","fields":[
        {"name":"sku","type":"string"},{"name":"count","type":"int"}]}}},
    {"name":"tags","type":{"type":"map","values":"double"}},
    {"name":"parent","type":["null","Order"],"default":null}]}"#;
const AN_ORDER: &str = r#"{"id":7,"customer":"eu","amount":12.50,"at":"2026-01-31T12:00:00.500Z","state":"PAID","items":[{"sku":"a","count":2},{"sku":"b","count":-1}],"tags":{"x":1.5},"parent":{"id":6,"customer":null,"amount":-0.01,"at":"1969-12-31T23:59:59.999Z","state":"NEW","items":[],"tags":{},"parent":null}}"#;

#[test]
fn the_bytes_are_those_of_the_specification() {
    let written =
        |text: &str, value: &str| avro(text).write(&Value::Json(value.to_owned().into())).unwrap().to_vec();
    for (n, bytes) in [("0", &[0][..]), ("-1", &[1]), ("1", &[2]), ("-64", &[0x7f]), ("64", &[0x80, 1])] {
        assert_eq!(written("\"long\"", n), bytes, "{n}");
    }
    assert_eq!(written("\"string\"", "\"foo\""), [6, 0x66, 0x6f, 0x6f]);
    let test = r#"{"type":"record","name":"test","fields":[{"name":"a","type":"long"},{"name":"b","type":"string"}]}"#;
    assert_eq!(written(test, r#"{"b":"foo","a":27}"#), [0x36, 6, 0x66, 0x6f, 0x6f]);
    assert_eq!(written(r#"{"type":"array","items":"long"}"#, "[3,27]"), [4, 6, 0x36, 0]);
    assert_eq!(written(r#"["null","string"]"#, "null"), [0]);
    assert_eq!(written(r#"["null","string"]"#, "\"a\""), [2, 2, 0x61]);
    assert_eq!(written("double", "1"), 1_f64.to_le_bytes());
    let bytes = [3, 4, 6, 0x36, 0];
    let array = avro(r#"{"type":"array","items":"long"}"#);
    let read = array.read(&bytes.to_vec().into(), &Wanted::All, Others::Kept).unwrap();
    assert_eq!(read, Value::Array(vec![Value::Int(3), Value::Int(27)]), "a block with its size in bytes");
}

#[test]
fn a_record_with_all_kinds_of_fields_comes_back_as_it_was() {
    assert_eq!(through(ORDER, AN_ORDER), AN_ORDER);
    let least = r#"{"id":7,"amount":1,"at":0,"state":"NEW","items":[],"tags":{}}"#;
    let full = r#"{"id":7,"customer":null,"amount":1.00,"at":"1970-01-01T00:00:00Z","state":"NEW","items":[],"tags":{},"parent":null}"#;
    assert_eq!(through(ORDER, least), full, "defaults are written");
}

#[test]
fn logical_types_are_what_they_stand_for() {
    let logical = |of: &str, name: &str, value: &str| {
        through(&format!(r#"{{"type":{of},"logicalType":"{name}"}}"#), value)
    };
    assert_eq!(logical("\"int\"", "date", "\"2026-01-31\""), "\"2026-01-31\"");
    assert_eq!(logical("\"int\"", "time-millis", "\"12:00:00.5\""), "\"12:00:00.500\"");
    assert_eq!(logical("\"long\"", "time-micros", "\"12:00:00\""), "\"12:00:00\"");
    assert_eq!(
        logical("\"long\"", "timestamp-micros", "\"2026-01-31T13:00:00+01:00\""),
        "\"2026-01-31T12:00:00Z\""
    );
    assert_eq!(logical("\"long\"", "timestamp-nanos", "1"), "\"1970-01-01T00:00:00.000000001Z\"");
    assert_eq!(
        logical("\"long\"", "local-timestamp-millis", "\"2026-01-31T12:00:00\""),
        "\"2026-01-31T12:00:00\""
    );
    let uuid = "\"123e4567-e89b-12d3-a456-426614174000\"";
    assert_eq!(logical("\"string\"", "uuid", uuid), uuid);
    let fixed = r#"{"type":"fixed","name":"u","size":16,"logicalType":"uuid"}"#;
    assert_eq!(through(fixed, uuid), uuid);
    let fixed = r#"{"type":"fixed","name":"d","size":3,"logicalType":"decimal","precision":6,"scale":3}"#;
    assert_eq!(through(fixed, "-1.5"), "-1.500");
    assert_eq!(avro(fixed).write(&Value::Float(-0.001)).unwrap().as_ref(), [0xff, 0xff, 0xff]);
    assert_eq!(logical("\"string\"", "what-is-this", "\"x\""), "\"x\"", "the type below holds");
    assert_eq!(logical("\"int\"", "timestamp-millis", "5"), "5", "one that does not fit its type");
    let bytes = avro("\"bytes\"").write(&Value::Bytes("\u{1}".into())).unwrap();
    assert_eq!(bytes.as_ref(), [2, 1]);
    assert_eq!(through("\"bytes\"", "\"AQI=\""), "\"AQI=\"", "JSON has bytes in base64");
}

#[test]
fn a_union_takes_the_branch_of_the_values_own_kind() {
    let union = |branches: &str, value: &str| {
        avro(branches).write(&Value::Json(value.to_owned().into())).unwrap()[0] >> 1
    };
    let all = r#"["null","boolean","int","long","double","string",{"type":"array","items":"int"},{"type":"map","values":"int"}]"#;
    for (value, branch) in [
        ("null", 0),
        ("true", 1),
        ("5", 2),
        ("5000000000", 3),
        ("5.0", 4),
        ("\"5\"", 5),
        ("[5]", 6),
        ("{\"a\":5}", 7),
    ] {
        assert_eq!(union(all, value), branch, "{value}");
    }
    assert_eq!(union(r#"["string","double"]"#, "5"), 1, "what an integer can become");
    assert_eq!(union(r#"["null",{"type":"enum","name":"E","symbols":["A"]},"string"]"#, "\"B\""), 2);
    let records = r#"[{"type":"record","name":"A","fields":[{"name":"a","type":"int"}]},
                      {"type":"record","name":"B","fields":[{"name":"b","type":"int"}]}]"#;
    assert_eq!(union(records, r#"{"b":1}"#), 1, "the one whose fields they are");
    let reason = refused(records, r#"{"b":"x"}"#);
    assert!(reason.ends_with("`a`: it is missing, and has no default"), "{reason}");
}

#[test]
fn what_one_schema_has_written_another_one_reads() {
    let record = |fields: &str| format!(r#"{{"type":"record","name":"R","fields":[{fields}]}}"#);
    let ab = record(r#"{"name":"a","type":"int"},{"name":"b","type":"string"}"#);
    let read = |reader: &str| resolved(&ab, &record(reader), r#"{"a":1,"b":"x"}"#);
    assert_eq!(
        read(r#"{"name":"b","type":"string"},{"name":"a","type":"double"}"#),
        Ok(r#"{"b":"x","a":1.0}"#.into())
    );
    assert_eq!(
        read(r#"{"name":"c","type":["null","int"],"default":null},{"name":"a","type":"long"}"#),
        Ok(r#"{"c":null,"a":1}"#.into())
    );
    assert_eq!(read(r#"{"name":"n","aliases":["a"],"type":["null","long"]}"#), Ok(r#"{"n":1}"#.into()));
    assert_eq!(read(r#"{"name":"b","type":"bytes"}"#), Ok(r#"{"b":"eA=="}"#.into()));
    assert_eq!(
        read(r#"{"name":"c","type":"int"}"#),
        Err("the field `c` was not written, and has no default".into())
    );
    assert_eq!(
        read(r#"{"name":"a","type":"string"}"#),
        Err("what was written as int cannot be read as string".into())
    );
    assert_eq!(
        read(
            r#"{"name":"d","type":{"type":"record","name":"D","fields":[{"name":"x","type":{"type":"int","logicalType":"date"},"default":1},{"name":"y","type":"bytes","default":"\u00ff"}]},"default":{"x":2}}"#
        ),
        Ok(r#"{"d":{"x":"1970-01-03","y":"/w=="}}"#.into())
    );
    let one = r#"{"type":"enum","name":"n.E","symbols":["A","B"]}"#;
    assert_eq!(
        resolved(one, r#"{"type":"enum","name":"E","symbols":["A","X"],"default":"X"}"#, "\"B\""),
        Ok("\"X\"".into())
    );
    assert!(resolved(one, r#"{"type":"enum","name":"E","symbols":["A"]}"#, "\"B\"").is_err());
    assert_eq!(resolved(one, r#"{"type":"enum","name":"E","symbols":["A"]}"#, "\"A\""), Ok("\"A\"".into()));
    assert_eq!(
        resolved(one, r#"{"type":"enum","name":"F","aliases":["n.E"],"symbols":["A"]}"#, "\"A\""),
        Ok("\"A\"".into())
    );
    assert_eq!(resolved(r#"["null","int"]"#, "\"int\"", "1"), Ok("1".into()), "out of a union");
    assert!(resolved(r#"["null","int"]"#, "\"int\"", "null").is_err());
    assert_eq!(resolved("\"int\"", r#"["string","float"]"#, "1"), Ok("1.0".into()), "into a union");
    let list = |extra: &str| {
        format!(
            r#"{{"type":"record","name":"L","fields":[{{"name":"v","type":"int"}},{{"name":"next","type":["null","L"]}}{extra}]}}"#
        )
    };
    assert_eq!(
        resolved(
            &list(""),
            &list(r#",{"name":"w","type":"int","default":9}"#),
            r#"{"v":1,"next":{"v":2,"next":null}}"#
        ),
        Ok(r#"{"v":1,"next":{"v":2,"next":null,"w":9},"w":9}"#.into()),
        "a schema within itself"
    );
    let passed = record(
        r#"{"name":"list","type":["null",{"type":"array","items":["null","R"]}]},{"name":"a","type":"int"}"#,
    );
    assert_eq!(
        resolved(
            &passed,
            &record(r#"{"name":"a","type":"int"}"#),
            r#"{"list":[null,{"list":null,"a":2}],"a":1}"#
        ),
        Ok(r#"{"a":1}"#.into()),
        "what the reader does not have is passed over"
    );
}

#[test]
fn only_what_is_wanted_is_read() {
    let order = avro(ORDER);
    let bytes = order.write(&Value::Json(AN_ORDER.into())).unwrap();
    let mut wanted = Wanted::Nothing;
    wanted.add(&["state"]);
    wanted.add(&["parent", "id"]);
    let read = order.read(&bytes, &wanted, Others::Dropped).unwrap();
    assert_eq!(json(&read), r#"{"state":"PAID","parent":{"id":6}}"#);
    assert_eq!(json(&order.read(&bytes, &wanted, Others::Kept).unwrap()), AN_ORDER);
    let Value::Map(fields) = order.read(&bytes, &Wanted::All, Others::Kept).unwrap() else { panic!() };
    let Some(Value::String(text)) = fields.get("customer") else { panic!() };
    assert!(bytes.as_ptr_range().contains(&text.as_bytes().as_ptr()), "a string is a slice of the record");
}

#[test]
fn what_does_not_fit_is_said_with_its_place() {
    let says = |value: &str| refused(ORDER, value).replace("the value does not fit the schema: ", "");
    assert_eq!(says("5"), "record is needed, and this is an integer");
    assert_eq!(says(&AN_ORDER.replace("\"id\":7,", "")), "`id`: it is missing, and has no default");
    assert_eq!(
        says(&AN_ORDER.replace("\"count\":2", "\"count\":2.5")),
        "`items`: `count`: an integer of 64 bits is needed, and this is a floating-point number"
            .replace("`items`: `count`", "`items.count`")
    );
    assert_eq!(
        says(&AN_ORDER.replace("\"count\":2", "\"count\":3000000000")),
        "`items.count`: 3000000000 does not fit the 32 bits of an int"
    );
    assert_eq!(
        says(&AN_ORDER.replace("12.50", "12.505")),
        "`amount`: 12.505 has more than 2 digits behind the point"
    );
    assert_eq!(
        says(&AN_ORDER.replace("PAID", "LOST")),
        "`state`: `LOST` is none of the symbols of `shop.State`"
    );
    assert_eq!(says(&AN_ORDER.replace("\"id\":7", "\"id\":7,\"more\":1")), "the schema has no field `more`");
    assert_eq!(
        says(&AN_ORDER.replace("\"2026-01-31T12:00:00.500Z\"", "\"soon\"")),
        "`at`: a timestamp such as \"2026-01-31T12:00:00Z\" is needed, and this is a string"
    );
    let deep = r#"{"type":"array","items":["null","A"]}"#;
    assert!(Schema::parse(deep).is_err(), "an array has no name");
}

#[test]
fn bytes_that_are_none_of_the_schema_are_refused() {
    assert_eq!(bad("\"long\"", &[]), "it ends too early");
    assert_eq!(bad("\"long\"", &[0xff; 20]), "an integer has more than 64 bits");
    assert_eq!(
        bad("\"int\"", &[0xff, 0xff, 0xff, 0xff, 0xff, 1]),
        "-2199023255552 is no integer of 32 bits"
            .replace("-2199023255552", "-17592186044415")
            .replace("-17592186044415", "-34359738368")
    );
    assert_eq!(bad("\"long\"", &[2, 0]), "1 bytes are left behind it");
    assert_eq!(bad("\"string\"", &[4, 0x61]), "2 bytes are said to follow, and 1 are left");
    assert_eq!(bad("\"string\"", &[1]), "-1 is no length");
    assert_eq!(bad("\"string\"", &[2, 0xff]), "a string is not UTF-8");
    assert_eq!(bad("\"boolean\"", &[2]), "2 is neither true nor false");
    assert_eq!(bad(r#"["null","int"]"#, &[4]), "there is no branch of a union 2: there are 2");
    assert_eq!(
        bad(r#"{"type":"int","logicalType":"date"}"#, &[0xff, 0xff, 0xff, 0xff, 0x0f]),
        "-2147483648 is beyond what a date or a time can be"
    );
    let many = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f];
    let array_of = |items: &str| format!(r#"{{"type":"array","items":{items}}}"#);
    let zigzag = [&[0xfe][..], &many[1..]].concat();
    assert_eq!(bad(&array_of("\"null\""), &zigzag), "it has more values than its bytes can hold");
    assert_eq!(
        bad(&array_of(r#"{"type":"record","name":"E","fields":[]}"#), &zigzag),
        "it has more values than its bytes can hold"
    );
    assert_eq!(bad(&array_of("\"string\""), &zigzag), "it ends too early");
    let list = r#"{"type":"record","name":"L","fields":[{"name":"next","type":["null","L"]}]}"#;
    assert_eq!(bad(list, &[2; 1_000]), "it has more than 128 levels");
    let skipped = avro(&format!(r#"{{"type":"record","name":"R","fields":[{{"name":"l","type":{list}}}]}}"#));
    let mut wanted = Wanted::Nothing;
    wanted.add(&["x"]);
    assert!(skipped.read(&vec![2; 1_000].into(), &wanted, Others::Dropped).is_err());
}

#[test]
fn ten_megabytes_of_anything_are_refused_fast() {
    let order = avro(ORDER);
    let list = avro(r#"{"type":"array","items":{"type":"map","values":["null","bytes"]}}"#);
    for fill in [0, 1, 2, 0x7f, 0x80, 0xfe, 0xff] {
        // As a map of many entries a 2 is read to the end, which takes as long as there are entries.
        let bytes = Bytes::from(vec![fill; if fill == 2 { 256 << 10 } else { 10 << 20 }]);
        for format in [&order, &list] {
            let start = cpu_time();
            let error = format.read(&bytes, &Wanted::All, Others::Kept).unwrap_err();
            let took = cpu_time() - start;
            assert!(took < Duration::from_millis(500), "{fill} {took:?}");
            assert!(error.to_string().len() < 200, "{error}");
        }
    }
}

#[test]
fn a_schema_is_checked() {
    for (text, reason) in [
        ("{", "the schema is not JSON: "),
        ("5", "a type is a name, an object or an array, and this is 5"),
        ("\"Order\"", "there is no type `Order`"),
        (r#"{"type":"record","name":"R"}"#, "a type `record` has no `fields`"),
        (r#"{"type":"record","fields":[]}"#, "a type has no `name`"),
        (r#"{"type":"array"}"#, "a type `array` has no `items`"),
        (r#"[]"#, "a union has no branches"),
        (r#"["int","int"]"#, "a union has two branches of one type, int"),
        (r#"["int",["null"]]"#, "a union is directly within a union"),
        (
            r#"{"type":"enum","name":"E","symbols":["A"],"default":"B"}"#,
            "the default `B` is none of its enum's symbols",
        ),
        (r#"{"type":"fixed","name":"F","size":-1}"#, "the `size` of a `fixed` is a number of bytes"),
        (
            r#"{"type":"record","name":"R","fields":[{"name":"a","type":"int"},{"name":"a","type":"int"}]}"#,
            "there are two fields `a` in one record",
        ),
    ] {
        let error = Schema::parse(text).unwrap_err().to_string();
        assert!(error.starts_with(reason), "{error}");
    }
    let deep = format!("{}\"int\"{}", r#"{"type":"array","items":"#.repeat(100), "}".repeat(100));
    assert!(Schema::parse(&deep).is_ok());
    let parts = [r#"{"type":"record","name":"n.A","fields":[{"name":"a","type":"int"}]}"#.to_owned()];
    let whole = Schema::parse_with(r#"{"type":"array","items":"n.A"}"#, &parts).unwrap();
    assert_eq!(write::value(&whole, &Value::Json(r#"[{"a":1}]"#.into()), Vec::new()), Ok(vec![2, 2, 0]));
}

#[test]
fn fields_are_kept_apart_by_name() {
    let fields: Fields = [("b", Value::Int(2)), ("a", Value::Int(1))].into_iter().collect();
    let record = avro(
        r#"{"type":"record","name":"R","fields":[{"name":"a","type":"int"},{"name":"b","type":"int"}]}"#,
    );
    assert_eq!(record.write(&Value::Map(fields)).unwrap().as_ref(), [2, 4]);
}

#[test]
fn the_factorial_is_in_records_with_fields_of_its_names() {
    let request = r#"{"type":"record","name":"Request","fields":[{"name":"n","type":"long"}]}"#;
    let result = |of: &str| {
        format!(
            r#"{{"type":"record","name":"Result","fields":[{{"name":"n","type":"int"}},{{"name":"result","type":{of}}}]}}"#
        )
    };
    let request = Format::Avro(avro(request).into());
    assert_eq!(request.encode_request(30), Ok(vec![60]));
    assert_eq!(request.decode_request(&[60]), Ok(30));
    assert_eq!(request.decode_request(&[1]).unwrap_err().class(), "negative");
    assert_eq!(request.decode_request(b"30").unwrap_err().class(), "not-avro");
    let decimal = r#"{"type":"bytes","logicalType":"decimal","precision":100}"#;
    for of in ["\"string\"", decimal, r#"["null","string"]"#] {
        let format = Format::Avro(avro(&result(of)).into());
        let factorial = crate::factorial::factorial(30);
        let value = format.encode_result(30, &factorial).unwrap();
        assert_eq!(format.decode_result(&value), Ok((30, factorial.to_string())), "{of}");
        assert_eq!(format.result_number(&value), Some(30));
        assert!(value.len() as u64 <= format.result_size(30, factorial.digits()));
    }
    let small = Format::Avro(avro(&result(&decimal.replace("100", "10"))).into());
    let error = small.encode_result(30, &crate::factorial::factorial(30)).unwrap_err();
    assert_eq!(error.to_string(), "the result has 33 digits, and the schema's decimal has room for 10");
}
