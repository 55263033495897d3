//! The client against a registry that answers what a test wants.

use serde_json::json;

use super::{fake::Fake, *};

fn away(error: &RegistryError) -> bool {
    matches!(error, RegistryError::Away(_))
}

#[test]
fn a_schema_comes_with_what_it_refers_to() {
    let fake = Fake::start();
    let refers = json!([{"name": "shop.Item", "subject": "items/v1", "version": 3}]);
    fake.answers("GET /schemas/ids/7", 200, json!({"schema": "\"shop.Item\"", "references": refers}));
    fake.answers(
        "GET /subjects/items%2Fv1/versions/3",
        200,
        json!({"subject": "items", "id": 6, "version": 3, "schema": "{}"}),
    );
    let written = fake.registry().by_id(7).unwrap();
    assert_eq!(
        written,
        Written {
            kind: "AVRO".into(),
            text: "\"shop.Item\"".into(),
            references: vec![("shop.Item".into(), "{}".into())]
        }
    );
}

#[test]
fn who_asks_is_said_and_never_printed() {
    let fake = Fake::start();
    let settings = |auth: Auth| format!("{:?}", fake.registry_for(auth).settings());
    let basic = Auth::Basic { user: "ann".into(), password: "hunter2".into() };
    let _ = fake.registry_for(basic.clone()).by_id(1);
    assert_eq!(fake.last().0, "Basic YW5uOmh1bnRlcjI=");
    let token = Auth::Token("hunter3".into());
    let _ = fake.registry_for(token.clone()).by_id(1);
    assert_eq!(fake.last().0, "Bearer hunter3");
    assert!(!settings(basic).contains("hunter") && !settings(token).contains("hunter"));
}

#[test]
fn the_kinds_of_trouble_are_told_apart() {
    let fake = Fake::start();
    let registry = fake.registry();
    assert_eq!(
        registry.by_id(5),
        Err(RegistryError::Unknown(format!(
            "the schema registry at {} does not have the schema 5",
            fake.url
        )))
    );
    for status in [500, 503, 429] {
        fake.answers("GET /schemas/ids/5", status, "later");
        assert!(away(&registry.by_id(5).unwrap_err()), "{status}");
    }
    for (status, body) in [(401, "who are you"), (404, "no such page"), (200, "<html>")] {
        fake.answers("GET /schemas/ids/5", status, body);
        assert!(matches!(registry.by_id(5), Err(RegistryError::Refused(_))), "{status} {body}");
    }
    let gone =
        Registry::new(RegistrySettings { url: "http://127.0.0.1:1".into(), auth: Auth::None, ca: None });
    let error = gone.unwrap().by_id(5).unwrap_err();
    assert!(
        away(&error)
            && error.to_string().starts_with("the schema registry at http://127.0.0.1:1 does not answer"),
        "{error}"
    );
}

#[test]
fn a_sinks_schema_is_looked_up_and_registered_only_where_it_may_be() {
    let fake = Fake::start();
    let registry = fake.registry();
    let error = registry.id_or_new("orders-value", "AVRO", "\"int\"", false).unwrap_err();
    assert!(
        matches!(&error, RegistryError::Refused(text) if text.ends_with("register it there, or say `register = true`")),
        "{error}"
    );
    fake.answers("POST /subjects/orders-value/versions", 200, json!({"id": 9}));
    assert_eq!(registry.id_or_new("orders-value", "AVRO", "\"int\"", true), Ok(9));
    assert_eq!(fake.last().1, r#"{"schema":"\"int\"","schemaType":"AVRO"}"#);
    fake.answers("POST /subjects/orders-value", 200, json!({"id": 8, "version": 1, "schema": "\"int\""}));
    assert_eq!(registry.id_or_new("orders-value", "AVRO", "\"int\"", true), Ok(8));
    assert_eq!(
        registry.may_write("orders-value", "AVRO", Some("\"int\""), false),
        Ok("values are written with the schema 8 of the subject orders-value".into())
    );
}

#[test]
fn what_does_not_fit_the_newest_schema_is_said() {
    let fake = Fake::start();
    let registry = fake.registry();
    let check = "POST /compatibility/subjects/orders-value/versions/latest?verbose=true";
    fake.answers(check, 200, json!({"is_compatible": false, "messages": ["a field is missing"]}));
    let error = registry.may_write("orders-value", "AVRO", Some("\"int\""), true).unwrap_err();
    assert!(error.to_string().ends_with("orders-value: a field is missing"), "{error}");
    fake.answers(check, 200, json!({"is_compatible": true}));
    assert!(registry.may_write("orders-value", "AVRO", Some("\"int\""), true).is_ok());
    fake.answers(check, 404, json!({"error_code": 40401, "message": "no subject"}));
    assert!(
        registry.may_write("orders-value", "AVRO", Some("\"int\""), true).is_ok(),
        "the first one may be any"
    );
}

#[test]
fn only_a_certificate_that_is_trusted_will_do() {
    let fake = Fake::with_tls();
    fake.answers("GET /schemas/ids/1", 200, json!({"schema": "\"int\""}));
    assert_eq!(fake.registry().by_id(1).map(|written| written.text), Ok("\"int\"".into()));
    let settings = RegistrySettings { url: fake.url.clone(), auth: Auth::None, ca: None };
    assert!(away(&Registry::new(settings).unwrap().by_id(1).unwrap_err()));
    let settings = RegistrySettings { url: fake.url.clone(), auth: Auth::None, ca: Some("no PEM".into()) };
    assert_eq!(Registry::new(settings).unwrap_err(), "there is no certificate in it");
}

#[test]
fn each_schema_is_asked_for_once_and_one_that_is_not_there_not_again_and_again() {
    let fake = Fake::start();
    let schemas: Schemas<String> = Schemas::new(fake.registry());
    let get = |id| schemas.get(id, |written| Ok(written.text.clone()));
    fake.answers("GET /schemas/ids/1", 503, "");
    assert!(away(&get(1).unwrap_err()));
    assert!(away(&get(1).unwrap_err()));
    assert_eq!(fake.asked().len(), 1, "it was away a moment ago");
    fake.answers("GET /schemas/ids/1", 200, json!({"schema": "\"int\""}));
    let asked = std::iter::repeat_with(|| get(1)).find_map(Result::ok);
    assert_eq!(asked.as_deref().map(String::as_str), Some("\"int\""), "it is asked again soon");
    for _ in 0..3 {
        assert!(get(1).is_ok());
        assert!(matches!(get(2), Err(RegistryError::Unknown(_))));
    }
    assert_eq!(fake.asked(), ["GET /schemas/ids/1", "GET /schemas/ids/1", "GET /schemas/ids/2"]);
    assert!(schemas.get(3, |_| Err("no".to_owned())).is_err());
}

#[test]
fn subjects_are_named_as_confluents_clients_do() {
    let subject = |strategy, key| Subject { strategy, topic: "orders".into(), key, register: false };
    let (record, both) = (SubjectStrategy::Record, SubjectStrategy::TopicRecord);
    assert_eq!(subject(SubjectStrategy::Topic, false).name(Some("shop.Order")), "orders-value");
    assert_eq!(subject(SubjectStrategy::Topic, true).name(None), "orders-key");
    assert_eq!(subject(record, false).name(Some("shop.Order")), "shop.Order");
    assert_eq!(subject(both, false).name(Some("shop.Order")), "orders-shop.Order");
    assert_eq!(subject(both, false).name(None), "orders-value");
}
