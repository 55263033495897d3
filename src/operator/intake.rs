//! The first step of a pipeline whose topics have several formats.

use super::{Cost, Operator, OperatorError, Output, error::bad_value, evaluate::cost};
use crate::{format::Format, record::Record};

/// Writes the values of some topics as those of all others are written, so that the steps behind it meet one format.
#[cfg_attr(not(internals), doc(hidden))]
#[derive(Debug)]
pub struct Intake {
    /// The topics, and how their values come.
    topics: Vec<(String, Format)>,
    to: Format,
}

impl Intake {
    /// Values of these topics are written in the format `to`.
    pub fn new(topics: Vec<(String, Format)>, to: Format) -> Intake {
        Intake { topics, to }
    }
}

impl Operator for Intake {
    fn cost(&self, record: &Record) -> Cost {
        cost(record)
    }

    fn apply(&self, mut record: Record, out: &mut Output) -> Result<(), OperatorError> {
        let topic = out.place().map(|(place, _)| &*place.topic);
        let own = topic.and_then(|topic| self.topics.iter().find(|(name, _)| name == topic));
        if let (Some((_, format)), Some(value)) = (own, &record.value)
            && *format != self.to
        {
            record.value = Some(format.convert(value, &self.to).map_err(bad_value)?);
        }
        out.push(record);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Offset, TopicPartition};

    #[test]
    fn only_the_values_of_topics_with_another_format_are_written_anew() {
        let topics = vec![("numbers".to_owned(), Format::Bincode), ("same".to_owned(), Format::Json)];
        let intake = Intake::new(topics, Format::Json);
        let taken = |topic: Option<&str>, value: Option<&'static [u8]>| {
            let mut out = Output::default();
            topic.iter().for_each(|topic| out.set_place(&TopicPartition::new(*topic, 0), Offset(0)));
            let record = Record { value: value.map(Into::into), ..Record::default() };
            intake.apply(record, &mut out).map_err(|error| error.to_string())?;
            Ok::<_, String>(out.drain().next().unwrap().value)
        };
        assert_eq!(taken(Some("numbers"), Some(&[1, 30])), Ok(Some("30".into())));
        assert_eq!(taken(Some("numbers"), None), Ok(None));
        assert!(taken(Some("numbers"), Some(b"30")).unwrap_err().starts_with("the value is not a number"));
        for topic in [Some("same"), Some("others"), None] {
            assert_eq!(taken(topic, Some(b" {} ")), Ok(Some(" {} ".into())), "it is not looked at");
        }
    }
}
