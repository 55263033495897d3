//! How values are written: `format`, and the table of settings that a format may have.

use std::{fs, path::PathBuf, sync::Arc};

use crate::{
    format::{Avro, AvroSchema, Format, Protobuf, ProtobufMessage},
    registry::{Auth, Registry, RegistrySettings, Subject, SubjectStrategy},
    settings::Reader,
};

/// The formats that have numbers, for those who ask for factorials.
pub(crate) const NUMBER_FORMATS: &[(&str, Format)] =
    &[("text", Format::Text), ("json", Format::Json), ("bincode", Format::Bincode)];

/// What `format` can be: a format that needs no more than its name, or one with a table of that name.
const FORMATS: &[(&str, Kind)] = &[
    ("text", Kind::Plain(Format::Text)),
    ("json", Kind::Plain(Format::Json)),
    ("bincode", Kind::Plain(Format::Bincode)),
    ("string", Kind::Plain(Format::String)),
    ("bytes", Kind::Plain(Format::Bytes)),
    ("avro", Kind::Schema(avro)),
    ("protobuf", Kind::Schema(protobuf)),
];

/// The formats that need no more than their names.
pub(super) fn plain() -> impl Iterator<Item = Format> {
    FORMATS.iter().filter_map(|(_, kind)| match kind {
        Kind::Plain(format) => Some(format.clone()),
        Kind::Schema(_) => None,
    })
}

const STRATEGIES: &[(&str, SubjectStrategy)] = &[
    ("topic", SubjectStrategy::Topic),
    ("record", SubjectStrategy::Record),
    ("topic-record", SubjectStrategy::TopicRecord),
];

enum Kind {
    Plain(Format),
    /// What reads the table.
    Schema(fn(&Settings<'_>) -> Option<Format>),
}

/// On which side a format is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Side {
    /// Values are read.
    Source,
    /// Values are written, to the topic that `topic` names in the same table.
    Sink,
    /// The same, or to several `topics`.
    Route,
}

/// A format's own table.
struct Settings<'a> {
    table: Reader<'a>,
    /// Whether it is of keys.
    of_keys: bool,
    /// Whether it is the format that the file says; else its keys are only named.
    chosen: bool,
    side: Side,
    /// Where a sink writes to.
    topic: Option<String>,
}

/// The format of a topic's values: `format` of its table, such as `[source]`, with the settings in `[source.avro]`. `None` where it
/// is one whose settings are wrong, of which the diagnostics tell.
pub(crate) fn read(table: &Reader<'_>, side: Side) -> Option<Format> {
    of(table, side, false)
}

/// The format of a topic's keys: `key_format`, with the settings in `[source.key_avro]`; nothing in it where keys have none.
pub(super) fn read_key(table: &Reader<'_>, side: Side) -> Option<Option<Format>> {
    // Its name is like that of the other one, and is not misspelt.
    table.node("format");
    match (of(table, side, true), table.node("key_format")) {
        (_, None) => Some(None),
        (format, Some(_)) => format.map(Some),
    }
}

/// The topics of a source that have other formats, each in its table `[source.formats.NAME]`.
pub(super) fn of_topics(source: &Reader<'_>) -> Vec<(String, Format)> {
    let of_topic = |(name, table): (&str, Reader<'_>)| {
        if table.is_empty() {
            table.required::<()>(
                "format",
                None,
                "how the values of that topic are written: `format = \"json\"`",
            );
        }
        let format = read(&table, Side::Source);
        table.finish();
        Some((name.to_owned(), format?))
    };
    source.table("formats").tables().into_iter().filter_map(of_topic).collect()
}

/// No format's place in the list.
const NONE: usize = usize::MAX;

fn of(table: &Reader<'_>, side: Side, of_keys: bool) -> Option<Format> {
    let prefix = if of_keys { "key_" } else { "" };
    let key = &format!("{prefix}format");
    let names: Vec<(&str, usize)> =
        FORMATS.iter().enumerate().map(|(place, (name, _))| (*name, place)).collect();
    // It is not known where what is written is none, or a key or the table is misspelt.
    let written = table.choice(key, &names);
    let is_default = !table.is_empty() && table.node(key).is_none() && !table.has_like(key);
    let default = if of_keys { NONE } else { 0 };
    let chosen = if is_default { Some(default) } else { written };
    let topic = match side {
        Side::Source => None,
        // It may have several, and then none that a subject could be named by.
        Side::Route if table.node("topics").is_some() => Some(String::new()),
        Side::Sink | Side::Route => table.string("topic"),
    };
    let mut read = None;
    for (place, (name, kind)) in FORMATS.iter().enumerate() {
        let is_chosen = Some(place) == chosen;
        match kind {
            Kind::Plain(format) if is_chosen => read = Some(format.clone()),
            Kind::Plain(_) => {}
            Kind::Schema(make) => {
                let inner = format!("{prefix}{name}");
                let (own, topic) = (table.table(&inner), topic.clone());
                let settings = Settings { table: own, of_keys, chosen: is_chosen, side, topic };
                if !is_chosen && chosen.is_some() && table.node(&inner).is_some() {
                    let sentence = format!("`[{}]` is for `{key} = \"{name}\"`", settings.table.path());
                    let help = "take it out, or say that format".to_owned();
                    table.say(settings.table.origin(), sentence, Some(help));
                }
                read = make(&settings).or(read);
                settings.table.finish();
            }
        }
    }
    read
}

fn avro(settings: &Settings<'_>) -> Option<Format> {
    let (text, wrong) = settings.file("schema");
    let registry = settings.registry();
    let subject = settings.subject(text.is_some());
    if !settings.chosen || wrong {
        return None;
    }
    let own = match text {
        None => None,
        Some(text) => match AvroSchema::parse(&text) {
            Ok(schema) => Some((text, schema)),
            Err(error) => return settings.say("schema", &error.to_string()),
        },
    };
    let avro = match (registry, own) {
        (Some(registry), own) => Avro::registered(registry?, own, subject),
        (None, Some((_, schema))) => Avro::new(schema),
        (None, None) => {
            let what = "the file with the schema: `schema = \"order.avsc\"`; or say where a `registry` is";
            return settings.table.required("schema", None, what);
        }
    };
    Some(Format::Avro(Arc::new(avro)))
}

fn protobuf(settings: &Settings<'_>) -> Option<Format> {
    let (text, wrong) = settings.file("schema");
    let name = settings.table.string("message");
    let registry = settings.registry();
    let subject = settings.subject(text.is_some());
    if !settings.chosen || wrong {
        return None;
    }
    let own = match text {
        None => None,
        Some(text) => match ProtobufMessage::open(&settings.path("schema")?, &text, name.as_deref()) {
            Ok(message) => Some(message),
            Err(reason) => return settings.say("schema", &reason),
        },
    };
    let protobuf = match (registry, own) {
        (Some(registry), own) => Protobuf::registered(registry?, own, subject),
        (None, Some(message)) => Protobuf::new(message),
        (None, None) => {
            let what = "the file with the schema: `schema = \"order.proto\"`; or say where a `registry` is";
            return settings.table.required("schema", None, what);
        }
    };
    Some(Format::Protobuf(Arc::new(protobuf)))
}

impl Settings<'_> {
    /// The path of the file under a key, whose name is relative to that of the pipeline's file.
    fn path(&self, key: &str) -> Option<PathBuf> {
        Some(self.table.folder().join(self.table.string(key)?))
    }

    /// The text of the file under a key; and whether it cannot be read.
    fn file(&self, key: &str) -> (Option<String>, bool) {
        let Some(path) = self.path(key) else { return (None, self.table.node(key).is_some()) };
        match fs::read_to_string(&path) {
            Ok(text) => (Some(text), false),
            Err(error) => {
                let _: Option<()> = self.say(key, &format!("{} cannot be read: {error}", path.display()));
                (None, true)
            }
        }
    }

    /// The registry, where the table names one; nothing in it where what is said of it is wrong.
    fn registry(&self) -> Option<Option<Registry>> {
        let url = self.table.string("registry");
        let (user, password) = (self.table.string("user"), self.table.string("password"));
        let token = self.table.string("token");
        let (ca, wrong) = self.file("ca");
        if url.is_none() && self.chosen {
            let of_registry = ["user", "password", "token", "ca"];
            for key in of_registry.into_iter().filter(|key| self.table.node(key).is_some()) {
                let _: Option<()> = self.say(key, "it is for a `registry`, and there is none");
            }
        }
        let url = url?;
        if !url.starts_with("http://") && !url.starts_with("https://") {
            return Some(self.say("registry", "it is an address such as \"http://127.0.0.1:8081\""));
        }
        let auth = match (user, password, token) {
            (None, None, None) => Auth::None,
            (None, None, Some(token)) => Auth::Token(token),
            (Some(user), Some(password), None) => Auth::Basic { user, password },
            _ => return Some(self.say("registry", "it takes `user` and `password`, or a `token`")),
        };
        if wrong {
            return Some(None);
        }
        Some(match Registry::new(RegistrySettings { url, auth, ca }) {
            Ok(registry) => Some(registry),
            Err(reason) => self.say("ca", &reason),
        })
    }

    /// Where a sink's schema is in the registry.
    fn subject(&self, has_schema: bool) -> Option<Subject> {
        if self.side == Side::Source {
            return None;
        }
        let strategy = self.table.choice("subject", STRATEGIES);
        let register = self.table.boolean("register");
        if self.chosen && !has_schema {
            if strategy.is_some_and(|strategy| strategy != SubjectStrategy::Topic) {
                let _: Option<()> =
                    self.say("subject", "the record's name is in the schema, and there is no `schema`");
            }
            if register == Some(true) {
                let _: Option<()> = self.say("register", "there is no `schema` to register");
            }
        }
        let topic = self.topic.clone()?;
        if self.chosen
            && topic.is_empty()
            && strategy != Some(SubjectStrategy::Record)
            && self.table.node("registry").is_some()
        {
            let reason = "several topics have no subject together: say `subject = \"record\"`, or write a route for each";
            return self.say("registry", reason);
        }
        let (strategy, register) = (strategy.unwrap_or_default(), register.unwrap_or(false));
        Some(Subject { strategy, topic, key: self.of_keys, register })
    }

    fn say<T>(&self, key: &str, reason: &str) -> Option<T> {
        let origin = self.table.node(key).map_or(self.table.origin(), |node| &node.origin);
        self.table.say(origin, format!("`{}`: {reason}", self.table.path_of(key)), None);
        None
    }
}
