//! The settings of `http`.

use std::{collections::BTreeMap, ops::RangeInclusive, time::Duration};

use reqwest::{
    Method, Url,
    header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue},
};
use serde::Deserialize;
use serde_aux::serde_introspection::serde_introspect;

use super::{
    super::{SettingError, settings as common},
    answer::{self, Statuses},
};
use crate::expression::Expression;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Where the service is.
    url: String,
    /// An expression: what is added to the path of the URL.
    path: Option<String>,
    #[serde(default = "default_method")]
    method: String,
    /// Sent with each request.
    #[serde(default)]
    headers: BTreeMap<String, String>,
    /// A bearer token.
    token: Option<String>,
    /// How long an answer may take.
    #[serde(default = "default_timeout", deserialize_with = "common::duration")]
    pub timeout: Duration,
    /// How many calls may be under way at once.
    #[serde(default = "default_concurrency")]
    pub concurrency: usize,
    /// The most records in one call.
    #[serde(default = "default_batch")]
    pub batch: usize,
    /// The largest answer, in bytes.
    #[serde(default = "default_max_response", deserialize_with = "common::size")]
    pub max_response: u64,
    /// The statuses after which a record is tried again.
    #[serde(default = "default_retry")]
    retry: Vec<String>,
    /// The statuses that drop a record.
    #[serde(default = "default_drop")]
    drop: Vec<String>,
}

pub fn keys() -> &'static [&'static str] {
    serde_introspect::<Settings>()
}

fn default_method() -> String {
    "POST".to_owned()
}

fn default_timeout() -> Duration {
    Duration::from_secs(10)
}

fn default_concurrency() -> usize {
    64
}

fn default_batch() -> usize {
    1
}

fn default_max_response() -> u64 {
    1 << 20
}

fn default_retry() -> Vec<String> {
    ["408", "425", "429", "5xx"].map(str::to_owned).into()
}

fn default_drop() -> Vec<String> {
    vec!["204".to_owned()]
}

impl Settings {
    pub fn url(&self) -> Result<Url, SettingError> {
        let wrong = |reason: String| SettingError::new(Some("url"), reason);
        let url = Url::parse(&self.url).map_err(|error| wrong(format!("it is no URL: {error}")))?;
        match url.scheme() {
            "http" | "https" if url.has_host() => Ok(url),
            _ => Err(wrong("it must begin with `http://` or `https://`, and name a host".to_owned())),
        }
    }

    pub fn path(&self) -> Result<Option<Expression>, SettingError> {
        if !(1..=2_000).contains(&self.batch) {
            return Err(SettingError::new(Some("batch"), "it must be 1 to 2,000"));
        }
        if self.path.is_some() && self.batch > 1 {
            return Err(SettingError::new(
                Some("path"),
                "it is of one record, and `batch` sends several at once",
            ));
        }
        self.path.as_ref().map(|source| common::expression("path", source, Expression::new)).transpose()
    }

    pub fn method(&self) -> Result<Method, SettingError> {
        match self.method.as_str() {
            "POST" | "PUT" | "PATCH" => Ok(self.method.parse().unwrap_or(Method::POST)),
            _ => Err(SettingError::new(Some("method"), "it must be \"POST\", \"PUT\" or \"PATCH\"")),
        }
    }

    pub fn headers(&self) -> Result<HeaderMap, SettingError> {
        let mut headers = HeaderMap::new();
        for (name, value) in &self.headers {
            let key = format!("headers.{name}");
            let wrong = |what| SettingError::new(Some(&key), format!("it is no {what} of a header"));
            let parsed = HeaderName::try_from(name).map_err(|_| wrong("name"))?;
            let mut value = HeaderValue::try_from(value).map_err(|_| wrong("value"))?;
            value.set_sensitive(true);
            headers.insert(parsed, value);
        }
        if let Some(token) = &self.token {
            let wrong = |_| SettingError::new(Some("token"), "it has bytes that no header may have");
            let mut value = HeaderValue::try_from(format!("Bearer {token}")).map_err(wrong)?;
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
        }
        Ok(headers)
    }

    pub fn statuses(&self) -> Result<Statuses, SettingError> {
        if self.concurrency == 0 || self.concurrency > 10_000 {
            return Err(SettingError::new(Some("concurrency"), "it must be 1 to 10,000"));
        }
        let parse = |key, list: &[String]| {
            let wrong = |text: &str| format!("`{text}` is no status; write it as \"404\" or \"5xx\"");
            list.iter()
                .map(|text| answer::class(text).ok_or_else(|| SettingError::new(Some(key), wrong(text))))
                .collect::<Result<Vec<_>, _>>()
        };
        let statuses = Statuses { retry: parse("retry", &self.retry)?, drop: parse("drop", &self.drop)? };
        let both = |drop: &RangeInclusive<u16>| {
            statuses.retry.iter().any(|retry| retry.start() <= drop.end() && drop.start() <= retry.end())
        };
        if let Some((text, _)) = self.drop.iter().zip(&statuses.drop).find(|(_, drop)| both(drop)) {
            return Err(SettingError::new(Some("drop"), format!("`{text}` is in `retry` too")));
        }
        Ok(statuses)
    }
}
