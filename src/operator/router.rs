//! The last step of a pipeline with several result topics: which of them a result goes to, and in which format.

use super::{
    Cost, Operator, OperatorError, Output, SettingError,
    error::bad_value,
    evaluate::{Input, cost},
    fields, keys, settings,
};
use crate::{
    expression::Expression,
    format::{Format, Formats},
    record::{Record, ResultTopic},
    value::Others,
};

/// Where some of the results go.
#[cfg_attr(not(internals), doc(hidden))]
#[derive(Debug)]
pub struct Route {
    when: Option<Expression>,
    by: Option<Expression>,
    /// By what `by` gives; without it, one.
    topics: Vec<(String, ResultTopic)>,
    /// How values are written there.
    format: Format,
}

impl Route {
    /// Takes the results for which `when` holds; all of them where it is none. Where there are several topics, by their
    /// names, `by` is an expression that gives one of these; results for which it gives another one are not taken.
    ///
    /// # Errors
    /// What is wrong with an expression, and where.
    pub fn new(
        when: Option<&str>,
        by: Option<&str>,
        topics: Vec<(String, ResultTopic)>,
        format: Format,
    ) -> Result<Route, SettingError> {
        let when =
            when.map(|source| settings::expression("when", source, Expression::condition)).transpose()?;
        let by = by.map(|source| settings::expression("by", source, Expression::new)).transpose()?;
        Ok(Route { when, by, topics, format })
    }

    /// The topic for a result, if the route takes it.
    fn topic(
        &self,
        input: &Input,
        record: &Record,
        out: &Output,
    ) -> Result<Option<ResultTopic>, OperatorError> {
        if let Some(when) = &self.when
            && !input.holds(when, record, out)?
        {
            return Ok(None);
        }
        let Some(by) = &self.by else { return Ok(self.topics.first().map(|(_, topic)| *topic)) };
        let named = fields::plain(&input.evaluate(by, record, out)?)?;
        let is_named = |(name, _): &&(String, ResultTopic)| named.as_ref().is_some_and(|named| named == name);
        Ok(self.topics.iter().find(is_named).map(|(_, topic)| *topic))
    }
}

/// Sends each result on the first route that takes it, and to the sink's own topic where none does. Values are converted where
/// their topic has another format than the operators have written, and keys where the sink has another one for them.
#[cfg_attr(not(internals), doc(hidden))]
#[derive(Debug)]
pub struct Router {
    routes: Vec<Route>,
    input: Input,
    /// How values and keys come out of the operators; and how they are written in the sink's own topic.
    formats: Formats,
}

impl Router {
    /// A router for results that come with the formats of the input. Those of the output are the sink's own topic's.
    pub fn new(routes: Vec<Route>, formats: Formats) -> Router {
        let expressions = routes.iter().flat_map(|route| route.when.iter().chain(&route.by));
        let input = Input::new(&formats, Others::Dropped, expressions);
        Router { routes, input, formats }
    }

    /// Where a result goes, and how its value is written there.
    fn find(&self, record: &Record, out: &Output) -> Result<(ResultTopic, &Format), OperatorError> {
        for route in &self.routes {
            if let Some(topic) = route.topic(&self.input, record, out)? {
                return Ok((topic, &route.format));
            }
        }
        Ok((ResultTopic::default(), &self.formats.output))
    }
}

impl Operator for Router {
    fn cost(&self, record: &Record) -> Cost {
        cost(record)
    }

    fn apply(&self, mut record: Record, out: &mut Output) -> Result<(), OperatorError> {
        let (topic, format) = self.find(&record, out)?;
        record.to = topic;
        if *format != self.formats.input
            && let Some(value) = &record.value
        {
            record.value = Some(self.formats.input.convert(value, format).map_err(bad_value)?);
        }
        if self.formats.keys.differ()
            && let Some(key) = &record.key
        {
            record.key = keys::convert(&self.formats.keys, key)?;
        }
        out.push(record);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::format::Keys;

    fn router(routes: Vec<Route>, input: Format, output: Format) -> Router {
        Router::new(routes, Formats { input, output, keys: Keys::default() })
    }

    fn route(when: &str, to: u16, format: Format) -> Route {
        Route::new(Some(when), None, vec![("t".to_owned(), ResultTopic(to))], format).unwrap()
    }

    fn routed(router: &Router, value: Option<&'static str>) -> Result<(u16, Option<Bytes>), String> {
        let mut out = Output::default();
        let record = Record { value: value.map(Into::into), key: Some("eu".into()), ..Record::default() };
        router.apply(record, &mut out).map_err(|error| error.to_string())?;
        let record = out.drain().next().unwrap();
        Ok((record.to.0, record.value))
    }

    #[test]
    fn the_first_route_that_takes_a_result_gets_it_and_the_sink_what_none_takes() {
        let routes = vec![
            route("value.amount > 100", 1, Format::Json),
            route("value.amount > 10 && key == 'eu'", 2, Format::Json),
        ];
        let router = router(routes, Format::Json, Format::Json);
        for (value, to) in [(r#"{"amount":101}"#, 1), (r#"{"amount": 11}"#, 2), (r#"{"amount": 1 }"#, 0)] {
            assert_eq!(
                routed(&router, Some(value)),
                Ok((to, Some(value.into()))),
                "not a byte of it changes"
            );
        }
        let error = routed(&router, Some("{}")).unwrap_err();
        assert_eq!(error, "`value.amount > 100`, column 6: there is no field `amount`");
    }

    #[test]
    fn a_route_by_the_key_takes_what_no_later_route_could_read() {
        let routes = vec![route("key == 'eu'", 1, Format::Json), route("value.amount > 10", 2, Format::Json)];
        let router = router(routes, Format::Json, Format::Json);
        assert_eq!(routed(&router, Some("no JSON")), Ok((1, Some("no JSON".into()))));
    }

    #[test]
    fn an_expression_chooses_among_the_topics_that_are_named_and_no_other() {
        let topics = vec![("de".to_owned(), ResultTopic(1)), ("7".to_owned(), ResultTopic(2))];
        let route = Route::new(None, Some("value.country"), topics, Format::Json).unwrap();
        let router = router(vec![route], Format::Json, Format::Json);
        let to = |value| routed(&router, Some(value)).map(|(to, _)| to);
        assert_eq!(to(r#"{"country":"de"}"#), Ok(1));
        assert_eq!(to(r#"{"country":7}"#), Ok(2));
        assert_eq!(to(r#"{"country":"../secret"}"#), Ok(0), "a stranger cannot name a topic");
    }

    #[test]
    fn a_key_is_written_in_the_sinks_format_and_routed_by_as_it_came() {
        let routes = vec![route("key == 'eu'", 1, Format::Json)];
        let keys = Keys { input: None, output: Some(Format::Json) };
        let router = Router::new(routes, Formats { input: Format::Json, output: Format::Json, keys });
        let mut out = Output::default();
        router.apply(Record { key: Some("eu".into()), ..Record::default() }, &mut out).unwrap();
        let record = out.drain().next().unwrap();
        assert_eq!((record.to.0, record.key.as_deref()), (1, Some(&b"\"eu\""[..])));
    }

    #[test]
    fn a_value_is_written_in_the_format_of_its_topic() {
        let routes = vec![route("value == 7", 1, Format::Bincode)];
        let router = router(routes, Format::Json, Format::Text);
        assert_eq!(routed(&router, Some("7")), Ok((1, Some(Bytes::from_static(&[1, 7])))));
        assert_eq!(routed(&router, Some(" 8")), Ok((0, Some("8".into()))));
        assert_eq!(
            routed(&router, Some("{}")),
            Err("the format text needs a number, and this is an object".to_owned())
        );
        assert_eq!(routed(&router, None), Ok((0, None)), "a tombstone has no value to convert");
    }
}
