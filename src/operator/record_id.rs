//! What tells records apart, for a source that leaves out what comes twice.

use std::fmt;

use bytes::Bytes;

use super::{Output, SettingError, evaluate::Input, fields, settings};
use crate::{
    expression::Expression,
    format::{Format, Formats},
    record::Record,
    value::Others,
};

/// An expression that gives a record's id.
pub struct RecordId {
    by: Expression,
    input: Input,
    /// How the records of topics are read whose format is another one.
    of_topics: Vec<(String, Input)>,
}

impl fmt::Debug for RecordId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "by {:?}", self.by)
    }
}

impl RecordId {
    /// The expression `by`, for records that come in with these formats, and for those of some topics that have others.
    ///
    /// # Errors
    /// What is wrong with the expression, and where.
    pub fn new(by: &str, formats: &Formats, of_topics: &[(String, Format)]) -> Result<Self, SettingError> {
        let by = settings::expression("by", by, Expression::new)?;
        let input = Input::new(formats, Others::Dropped, [&by]);
        let of_topic = |(topic, format): &(String, Format)| {
            let formats = Formats { input: format.clone(), ..formats.clone() };
            (topic.clone(), Input::new(&formats, Others::Dropped, [&by]))
        };
        let of_topics = of_topics.iter().map(of_topic).collect();
        Ok(RecordId { by, input, of_topics })
    }

    /// The expression, as it is in the file.
    pub fn by(&self) -> &str {
        self.by.source()
    }

    /// A record's id; `None` where it has none, or cannot be read. `out` knows where it was read.
    pub fn of(&self, record: &Record, out: &Output) -> Option<Bytes> {
        let topic = out.place().map_or("", |(partition, _)| &partition.topic);
        let own = self.of_topics.iter().find(|(name, _)| name == topic);
        let input = own.map_or(&self.input, |(_, input)| input);
        let id = input.evaluate(&self.by, record, out).ok()?;
        fields::plain(&id).ok().flatten()
    }
}
