//! A component for `operator = "wasm"`: gives each JSON object a field `score`, which is the length of its field `text`.

use serde_json::Value;

wit_bindgen::generate!({ path: "../../../wit", world: "operator" });

struct Score;

impl Guest for Score {
    fn apply(_origin: Option<Place>, records: Vec<Input>) -> Vec<Answer> {
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
