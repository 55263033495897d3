//! Where two JSON values differ.

use serde_json::Value;

/// A place at which two values differ, and what is there in each: `None` where nothing is.
#[derive(Debug, PartialEq)]
pub struct Place<'a> {
    /// How an expression names it: `value.items[2].price`.
    pub path: String,
    pub expected: Option<&'a Value>,
    pub actual: Option<&'a Value>,
}

/// All places at which they differ. Blanks and the order of fields do not count, nor how a number is written: 501 is 501.0.
pub fn differences<'a>(expected: &'a Value, actual: &'a Value) -> Vec<Place<'a>> {
    let mut places = Vec::new();
    compare("value".to_owned(), Some(expected), Some(actual), &mut places);
    places
}

fn compare<'a>(
    path: String,
    expected: Option<&'a Value>,
    actual: Option<&'a Value>,
    places: &mut Vec<Place<'a>>,
) {
    match (expected, actual) {
        (Some(Value::Object(one)), Some(Value::Object(other))) => {
            for (name, value) in one {
                compare(below(&path, name), Some(value), other.get(name), places);
            }
            for (name, value) in other.iter().filter(|(name, _)| !one.contains_key(*name)) {
                compare(below(&path, name), None, Some(value), places);
            }
        }
        (Some(Value::Array(one)), Some(Value::Array(other))) => {
            for index in 0..one.len().max(other.len()) {
                compare(format!("{path}[{index}]"), one.get(index), other.get(index), places);
            }
        }
        (Some(Value::Number(one)), Some(Value::Number(other)))
            if one == other || one.as_f64() == other.as_f64() => {}
        _ if expected == actual => {}
        _ => places.push(Place { path, expected, actual }),
    }
}

fn below(path: &str, name: &str) -> String {
    let plain = name.chars().all(|c| c.is_alphanumeric() || c == '_');
    if plain && !name.is_empty() { format!("{path}.{name}") } else { format!("{path}[{name:?}]") }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_field_that_differs_is_named_by_its_path() {
        let expected = json!({"id": 1, "total": 501, "a b": true, "to": {"city": "Ulm"}, "items": [{"n": 1}, 2], "x": 0});
        let actual = json!({"total": 501.0, "id": 2, "a b": false, "to": {"city": "Bonn"}, "items": [{"n": 2}], "y": null});
        let found = differences(&expected, &actual);
        let mut found: Vec<String> = found
            .iter()
            .map(|place| {
                let shown = |value: Option<&Value>| value.map_or_else(|| "-".to_owned(), Value::to_string);
                format!("{} {} {}", place.path, shown(place.expected), shown(place.actual))
            })
            .collect();
        found.sort();
        assert_eq!(
            found,
            [
                "value.id 1 2",
                "value.items[0].n 1 2",
                "value.items[1] 2 -",
                "value.to.city \"Ulm\" \"Bonn\"",
                "value.x 0 -",
                "value.y - null",
                "value[\"a b\"] true false",
            ]
        );
    }
}
