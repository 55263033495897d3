//! Gives each record another key.

use serde::Deserialize;
use serde_aux::serde_introspection::serde_introspect;

use super::{
    Built, Cost, Operator, OperatorError, Output,
    evaluate::{Input, cost},
    keys, settings,
};
use crate::{
    expression::Expression,
    format::{Format, Formats},
    record::Record,
    value::Others,
};

/// Sets the key to what an expression gives, in the sink's format of keys; where it has none, text and bytes as they are, and
/// anything else as JSON. Null is no key. Results go to the partition of their new key.
#[derive(Debug)]
pub struct SetKey {
    to: Expression,
    input: Input,
    output: Option<Format>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    /// The new key.
    to: String,
}

impl SetKey {
    pub(super) fn settings() -> &'static [&'static str] {
        serde_introspect::<Settings>()
    }

    pub(super) fn build(table: toml::Table, formats: Formats) -> Built {
        let settings: Settings = settings::read(table)?;
        let to = settings::expression("to", &settings.to, Expression::new)?;
        let input = Input::new(&formats, Others::Dropped, [&to]);
        Ok(Box::new(SetKey { to, input, output: formats.keys.output }))
    }
}

impl Operator for SetKey {
    fn cost(&self, record: &Record) -> Cost {
        cost(record)
    }

    fn apply(&self, record: Record, out: &mut Output) -> Result<(), OperatorError> {
        let key = self.input.evaluate(&self.to, &record, out)?;
        let key = keys::write(self.output.as_ref(), &key)?;
        out.push(Record { key, ..record });
        Ok(())
    }

    fn keeps_value(&self) -> bool {
        true
    }

    fn keeps_key(&self) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::Keys;

    fn of(keys: Keys, to: &str, key: &'static str, value: &'static str) -> Result<Option<String>, String> {
        let table = toml::Table::from_iter([("to".to_owned(), to.into())]);
        let formats = Formats { input: Format::Json, output: Format::Json, keys };
        let operator = SetKey::build(table, formats).map_err(|error| error.to_string()).unwrap();
        let mut out = Output::default();
        let record = Record { key: Some(key.into()), value: Some(value.into()), ..Record::default() };
        operator.apply(record, &mut out).map_err(|error| error.to_string())?;
        let [made] = &out.drain().collect::<Vec<_>>()[..] else { panic!() };
        assert_eq!(made.value.as_deref(), Some(value.as_bytes()), "the value stays as it came");
        Ok(made.key.as_deref().map(|key| String::from_utf8(key.to_vec()).unwrap()))
    }

    fn key(to: &str, value: &'static str) -> Option<String> {
        of(Keys::default(), to, "k", value).unwrap()
    }

    #[test]
    fn a_key_with_a_format_is_looked_into_and_written_in_the_sinks() {
        let keys = |output| Keys { input: Some(Format::Json), output };
        let eu = r#"{"region":"eu","n":[1, 2.50]}"#;
        for (to, text, json) in [
            ("key.region", "eu", "\"eu\""),
            ("key.region + value.id", "eu7", "\"eu7\""),
            ("key.n[0]", "1", "1"),
            ("key.n", "[1,2.5]", "[1,2.5]"),
            ("has(key.none) ? '' : key.region.upperAscii()", "EU", "\"EU\""),
            ("key.?none.orValue('x')", "x", "\"x\""),
            ("size(key) == 2 && key.region == 'eu' ? key.n[1] : 0", "2.5", "2.5"),
            ("{'b': key.region, 'a': value.id}", r#"{"b":"eu","a":"7"}"#, r#"{"b":"eu","a":"7"}"#),
        ] {
            let given = |output| of(keys(output), to, eu, r#"{"id":"7"}"#);
            assert_eq!(given(None), Ok(Some(text.to_owned())), "{to}");
            assert_eq!(given(Some(Format::Json)), Ok(Some(json.to_owned())), "{to}");
        }
        assert_eq!(
            of(keys(None), "value.id", "no JSON", r#"{"id":"7"}"#),
            Ok(Some("7".to_owned())),
            "it is not read"
        );
        let wrong = |to, key| of(keys(None), to, key, r#"{"id":"7"}"#).unwrap_err();
        assert!(wrong("key.region", "eu").starts_with("the key is not JSON: \"eu\""));
        assert_eq!(wrong("key.region", "{}"), "`key.region`, column 4: there is no field `region`");
        assert_eq!(wrong("key.region", "5"), "`key.region`, column 4: int has no fields");
        let text = of(Keys::default(), "key.region", eu, r#"{"id":"7"}"#).unwrap_err();
        assert_eq!(text, "`key.region`, column 4: string has no fields", "without a format it is text");
    }

    #[test]
    fn a_key_is_text_as_it_is_and_anything_else_as_json() {
        assert_eq!(key("value.id", r#"{"id": "a\n"}"#).as_deref(), Some("a\n"));
        assert_eq!(key("value.id", r#"{"id": 7}"#).as_deref(), Some("7"));
        assert_eq!(key("value.id", r#"{"id": null}"#), None);
        assert_eq!(key("key + '-' + value.id", r#"{"id": "7"}"#).as_deref(), Some("k-7"));
        assert_eq!(key("{'b': 1, 'a': value.id}", r#"{"id": "7"}"#).as_deref(), Some(r#"{"b":1,"a":"7"}"#));
    }
}
