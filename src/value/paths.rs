//! Finds fields in JSON text, where they stand: nothing is copied, and nothing is made.

use super::scan::Scan;

/// How many fields one look through a text finds.
const MOST: usize = 8;
/// How deep they may be.
const DEEPEST: usize = 16;

/// Paths to fields of an object, numbered from 0.
///
/// ```
/// use pipeline::value::{Found, Paths};
///
/// let mut paths = Paths::default();
/// assert_eq!((paths.add(&["to", "city"]), paths.add(&["n"])), (Some(0), Some(1)));
/// let found = paths.find(br#"{"to": {"city": "Ulm"}, "x": [1]}"#).unwrap();
/// assert_eq!((found[0], found[1]), (Found::Text("\"Ulm\""), Found::Missing));
/// assert!(paths.find(b"{").is_none());
/// ```
#[derive(Clone, Debug, Default)]
pub struct Paths {
    root: Vec<Name>,
    count: usize,
}

#[derive(Clone, Debug)]
struct Name {
    name: String,
    place: Option<usize>,
    inner: Vec<Name>,
}

/// What is at a path.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum Found<'t> {
    /// The object that would have the field is no object, or is not there itself.
    #[default]
    NoObject,
    /// The object is there, and has no such field.
    Missing,
    /// The field's value, as it is written.
    Text(&'t str),
}

impl Paths {
    /// Adds a path, and returns its number; `None` where there are too many, or it is too long.
    pub fn add(&mut self, path: &[&str]) -> Option<usize> {
        let (last, before) = path.split_last().filter(|_| path.len() <= DEEPEST)?;
        let mut names = &mut self.root;
        for name in before {
            names = &mut entry(names, name).inner;
        }
        let place = &mut entry(names, last).place;
        if place.is_none() && self.count < MOST {
            *place = Some(self.count);
            self.count += 1;
        }
        *place
    }

    /// Whether there is no path.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// What is at each path. Of several fields with one name, the last one counts, as everywhere.
    ///
    /// `None` where the text is no object, no JSON, or JSON that is not plain: then only [`read_json_fields`] can tell.
    ///
    /// [`read_json_fields`]: super::read_json_fields
    pub fn find<'t>(&self, text: &'t [u8]) -> Option<[Found<'t>; MOST]> {
        let mut found = [Found::default(); MOST];
        let mut scan = Scan::new(text);
        object(&self.root, &mut scan, &mut found)?;
        scan.is_at_end().then_some(found)
    }
}

fn entry<'a>(names: &'a mut Vec<Name>, name: &str) -> &'a mut Name {
    let place = names.iter().position(|found| found.name == name).unwrap_or_else(|| {
        names.push(Name { name: name.to_owned(), place: None, inner: Vec::new() });
        names.len() - 1
    });
    &mut names[place]
}

fn object<'t>(names: &[Name], scan: &mut Scan<'t>, found: &mut [Found<'t>; MOST]) -> Option<()> {
    names.iter().filter_map(|name| name.place).for_each(|place| found[place] = Found::Missing);
    scan.object(|scan, field| {
        let Some(name) = names.iter().find(|name| name.name.as_bytes() == field) else { return scan.skip() };
        forget(&name.inner, found);
        let begin = scan.begin();
        match scan.peek() {
            _ if name.inner.is_empty() => scan.skip()?,
            b'{' => object(&name.inner, scan, found)?,
            b'n' => scan.skip()?,
            // The parser reads it to see that it has no fields, and may refuse it.
            _ => return None,
        }
        if let Some(place) = name.place {
            found[place] = Found::Text(scan.since(begin)?);
        }
        Some(())
    })
}

/// A field of this name was there before: what was found in it does not count any more.
fn forget(names: &[Name], found: &mut [Found<'_>; MOST]) {
    for name in names {
        name.place.into_iter().for_each(|place| found[place] = Found::NoObject);
        forget(&name.inner, found);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::value::{Fields, Others, Value, Wanted, read_json_fields};

    const PATHS: [&[&str]; 5] = [&["a"], &["b", "a"], &["b"], &["b", "c", "a"], &["é"]];

    /// What the parser finds at a path.
    fn parsed<'v>(value: &'v Value, path: &[&str]) -> Option<&'v Value> {
        path.iter().try_fold(value, |value, name| match value {
            Value::Map(fields) => Fields::get(fields, name),
            _ => None,
        })
    }

    /// Whatever is found is what the parser finds; and it is found, where the text is `plain`.
    fn agrees(text: &[u8], plain: bool) {
        for chosen in [&PATHS[..], &PATHS[..1], &PATHS[1..2], &PATHS[3..]] {
            let mut paths = Paths::default();
            chosen.iter().for_each(|path| assert!(paths.add(path).is_some()));
            let found = paths.find(text);
            assert!(found.is_some() || !plain, "not found: {}", String::from_utf8_lossy(text));
            let Some(found) = found else { continue };
            for (place, path) in chosen.iter().enumerate() {
                // Each is read by itself: of two paths of which one leads on, the parser reads the shorter one.
                let mut wanted = Wanted::Nothing;
                wanted.add(path);
                let text = bytes::Bytes::copy_from_slice(text);
                let value = read_json_fields(&text, &wanted, Others::Dropped).unwrap();
                let expected = parsed(&value, path);
                match found[place] {
                    Found::Text(text) => assert_eq!(expected, Some(&Value::Json(text.to_owned().into()))),
                    Found::Missing => {
                        assert_eq!(expected, None);
                        let object = parsed(&value, &path[..path.len() - 1]);
                        assert!(matches!(object, Some(Value::Map(_))), "{path:?} in {text:?}");
                    }
                    Found::NoObject => {
                        let object = parsed(&value, &path[..path.len() - 1]);
                        assert!(!matches!(object, Some(Value::Map(_))), "{path:?} in {text:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn what_is_found_is_what_the_parser_finds() {
        for text in [
            r#"{"a":1,"b":{"a":2,"c":{"a":[3]}},"é":"ü"}"#,
            r#" { "a" : -0.5e+3 , "b" : { } , "x" : [ [ ] , { } , { "a" : null } , true ] } "#,
            r#"{"b":{"a":1,"c":{"a":1}},"b":{}}"#,
            r#"{"b":{"a":1},"b":null,"a":1,"a":{"b":2}}"#,
            r#"{"b":{"c":null},"x":"\"\\\/\b\f\n\r\t\u00E9 a text that is longer than eight bytes\n"}"#,
            r#"{"x":"12345678","y":"1234567\"","a":"é and more than eight bytes of it"}"#,
            "{}",
        ] {
            agrees(text.as_bytes(), true);
        }
    }

    #[test]
    fn what_is_no_plain_json_is_left_to_the_parser() {
        for text in [
            "",
            "5",
            "[1]",
            "{",
            "{}x",
            "{\"a\"}",
            "{\"a\":}",
            "{\"a\":1,}",
            "{,}",
            "{\"a\":01}",
            "{\"a\":1.}",
            "{\"a\":-}",
            "{\"a\":1e}",
            "{\"a\":+1}",
            "{\"a\":tru}",
            "{\"a\":[1,]}",
            "{\"a\":[1}",
            "{\"a\":{\"b\":1]}",
            "{\"a\":\"\n\"}",
            "{\"a\":\"\\x\"}",
            "{\"a\":\"\\u12g4\"}",
            "{\"a\":\"\\u12",
            "{\"a\":\"1234567\u{1}90\"}",
            "{\"\\u0061\":1}",
            "{a:1}",
            "{\"a\":'x'}",
            "{\"a\":1}}",
        ] {
            let mut paths = Paths::default();
            paths.add(&["a"]);
            assert!(paths.find(text.as_bytes()).is_none(), "{text}");
        }
        let mut paths = Paths::default();
        paths.add(&["a"]);
        assert!(paths.find(b"{\"a\":\"\xff\"}").is_none() && paths.find(b"{\"\xff\":1}").is_none());
        let deep = format!("{{\"b\":{}{}}}", "[".repeat(200), "]".repeat(200));
        assert!(paths.find(deep.as_bytes()).is_none());
        assert!(paths.find("{\"b\":".repeat(100_000).as_bytes()).is_none(), "and nothing overflows");
    }

    fn json() -> impl Strategy<Value = String> {
        let name = prop_oneof![Just("a"), Just("b"), Just("c"), Just("é"), Just("long name")];
        let leaf = prop_oneof![
            any::<i32>().prop_map(|n| n.to_string()),
            any::<f64>().prop_filter("JSON has no others", |n| n.is_finite()).prop_map(|n| format!("{n:e}")),
            "[ -~é\t\n\"\\\\]{0,20}".prop_map(|text| serde_json::to_string(&text).unwrap()),
            Just("null".to_owned()),
            Just(" true ".to_owned()),
        ];
        leaf.prop_recursive(5, 40, 6, move |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..5)
                    .prop_map(|values| format!("[{}]", values.join(" , "))),
                proptest::collection::vec((name.clone(), inner), 0..6).prop_map(|fields| {
                    let fields: Vec<String> =
                        fields.into_iter().map(|(name, value)| format!(" \"{name}\": {value}")).collect();
                    format!("{{{}}}", fields.join(","))
                }),
            ]
        })
    }

    proptest! {
        #[test]
        fn any_json_is_gone_through_as_the_parser_does(
            values in proptest::collection::vec(json(), 3),
            change in proptest::option::of((any::<proptest::sample::Index>(), any::<u8>())),
        ) {
            let text = format!(r#"{{"a":{},"b":{},"x":{}}}"#, values[0], values[1], values[2]);
            agrees(text.as_bytes(), false);
            if let Some((place, byte)) = change {
                let mut bytes = text.into_bytes();
                let place = place.index(bytes.len());
                bytes[place] = byte;
                agrees(&bytes, false);
            }
        }
    }
}
