//! `pipeline` with one operator more: `cargo run -- test masked.toml`, `cargo run -- run masked.toml`.

use std::process::ExitCode;

use pipeline::{
    Cli,
    format::Formats,
    operator::{Configured, Operator, OperatorError, Output, SettingError},
    record::Record,
    value::{Others, Value, Wanted},
};

const NOT_MASKED: &str = "not-masked";

/// Replaces all but the last characters of a field by stars.
struct Mask {
    settings: Settings,
    formats: Formats,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    /// The field.
    field: String,
    /// How many characters stay.
    #[serde(default)]
    keep: usize,
}

impl Configured for Mask {
    type Settings = Settings;
    const SUMMARY: &'static str = "hides a field";
    const CLASSES: &'static [&'static str] = &[NOT_MASKED];

    fn configured(settings: Settings, formats: Formats) -> Result<Self, SettingError> {
        if settings.field.is_empty() {
            return Err(SettingError::new(Some("field"), "it must name a field"));
        }
        Ok(Mask { settings, formats })
    }
}

impl Operator for Mask {
    fn apply(&self, record: Record, out: &mut Output) -> Result<(), OperatorError> {
        let Some(bytes) = &record.value else {
            out.push(record);
            return Ok(());
        };
        let bad = |message: String| OperatorError::BadInput { class: NOT_MASKED, message };
        // Only that field is read; the others stay as they were written.
        let mut wanted = Wanted::Nothing;
        wanted.add(&[&self.settings.field]);
        let value = self.formats.input.read(bytes, &wanted, Others::Kept);
        let Ok(Value::Map(mut fields)) = value else { return Err(bad("the value is no object".to_owned())) };
        let text = match fields.get(&self.settings.field) {
            Some(Value::Json(text)) => String::from_utf8_lossy(text).trim_matches('"').to_owned(),
            Some(Value::String(text)) => text.to_string(),
            _ => return Err(bad(format!("there is no field `{}`", self.settings.field))),
        };
        let hidden = text.chars().count().saturating_sub(self.settings.keep);
        let masked: String =
            text.chars().enumerate().map(|(at, c)| if at < hidden { '*' } else { c }).collect();
        fields.set(&self.settings.field, Value::String(masked.into()));
        let value = self.formats.output.write(&Value::Map(fields)).map_err(|error| bad(error.to_string()))?;
        out.push(Record { value: Some(value), ..record });
        Ok(())
    }
}

fn main() -> ExitCode {
    Cli::new().operator::<Mask>("mask").run()
}
