//! A component for `operator = "wasm"`: gives each JSON object a field `score`, which is the length of its field `text`.

use std::{panic, sync::Once};

use serde_json::Value;

wit_bindgen::generate!({ path: "../../../wit", world: "operator" });

use pipeline::operator::log;

/// What a panic says is lost, unless it is given to the log.
static HOOK: Once = Once::new();

struct Score;

impl Guest for Score {
    fn apply(_origin: Option<Place>, records: Vec<Input>) -> Vec<Answer> {
        HOOK.call_once(|| panic::set_hook(Box::new(|info| log::write(&info.to_string()))));
        records.iter().map(|record| score(&record.value).unwrap_or_else(Answer::Refused)).collect()
    }
}

fn score(value: &[u8]) -> Result<Answer, String> {
    let mut object: Value = serde_json::from_slice(value).map_err(|error| error.to_string())?;
    let text = object["text"].as_str().ok_or("there is no text")?;
    object["score"] = text.chars().count().into();
    Ok(Answer::Value(object.to_string().into_bytes()))
}

export!(Score);
