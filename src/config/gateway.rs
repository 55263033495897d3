//! A gateway's file: which topics its routes ask, and what it takes from whom.

use std::{
    cell::RefCell,
    fmt,
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

use super::{
    formats::NUMBER_FORMATS,
    gateway_state::{self, GatewayState},
    kafka,
    pipeline::{Metrics, Properties, TopicSettings},
    read::{metrics, shutdown},
    tables::{positive, store, topic, topic_name},
};
use crate::{
    format::Format,
    settings::{Diagnostics, Reader, Tree, Value},
};

/// A checked gateway.
#[derive(Clone, Debug)]
pub struct Gateway {
    /// Its name: a label on its metrics, and the beginning of its consumer groups' names.
    pub name: String,
    /// Properties of every client, the brokers among them, if any.
    pub kafka: Properties,
    /// What is listened to, and what is taken.
    pub http: HttpSettings,
    /// What can be asked; at least one.
    pub routes: Vec<Route>,
    /// Requests that wait for an answer at once.
    pub in_flight: usize,
    /// Requests that one POST may have.
    pub batch: usize,
    /// Bytes of answers that are kept.
    pub cache: u64,
    /// Results that are read at the start, of all owned partitions together.
    pub preload: u64,
    /// How long what is pending has at a graceful stop.
    pub shutdown_timeout: Duration,
    /// Where metrics are served.
    pub metrics: Metrics,
    /// The topics of which it says the newest value of a key, if there are any.
    pub state: Option<GatewayState>,
}

/// What the HTTP server listens to, and its limits.
#[derive(Clone, Debug)]
pub struct HttpSettings {
    /// Where it listens; 127.0.0.1:8080 by default.
    pub listen: SocketAddr,
    /// The longest that an answer is waited for.
    pub timeout: Duration,
    /// How long a client may take to send a head or a body, or to take a piece of an answer.
    pub client_timeout: Duration,
    /// Connections at once.
    pub connections: usize,
    /// Bytes of a request's head.
    pub head: usize,
    /// Bytes of a request's body.
    pub body: usize,
    /// What a client must present, if anything.
    pub token: Option<Secret>,
    /// TLS, if any.
    pub tls: Option<Tls>,
}

/// Prints as `***`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(pub String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// The PEM files of a TLS server.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Tls {
    /// The certificate and those between it and its root.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

/// How a result is known to be the answer to a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Correlation {
    /// It names the value that was asked for: callers that want the same may share it, and it may be kept.
    Value,
    /// It has the request's `correlation-id`: the answer is for this request alone.
    Id,
}

/// What is asked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Values {
    /// Numbers, in the topics' formats.
    Numbers {
        /// The largest.
        max: u64,
        /// How requests are written.
        request: Format,
        /// How results are written.
        result: Format,
    },
    /// Bytes as they are: the path's last segment, or the strings of a POST.
    Bytes,
}

/// One thing that can be asked.
#[derive(Clone, Debug)]
pub struct Route {
    /// Its table's name: `routes.NAME`.
    pub name: String,
    /// Where it is: `/factorial`.
    pub path: String,
    /// Where requests go.
    pub request: TopicSettings,
    /// Where results come from.
    pub result: TopicSettings,
    /// The address of the object store that its workers put large results into, if they do.
    pub store: Option<String>,
    /// The topic where its workers tell how far requests are that take long, if they do.
    pub progress: Option<String>,
    /// The dead letters of its workers, if they are shown.
    pub dead_letters: Option<RouteLetters>,
    /// What is asked for.
    pub values: Values,
    /// How results are known.
    pub correlation: Correlation,
}

/// The dead letters of a route's workers.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RouteLetters {
    /// Their topic; that of the requests with `.dlq` unless the file says another.
    pub topic: String,
    /// The consumer group of the workers, from which the names of the replays' groups follow. There is no default: with another name than
    /// the workers' file has, a letter could be replayed here and by the command too.
    pub group: Option<String>,
}

const CORRELATIONS: &[(&str, Correlation)] = &[("value", Correlation::Value), ("id", Correlation::Id)];
const KINDS: &[(&str, bool)] = &[("numbers", false), ("bytes", true)];

/// The whole file. `None` where something that has no default is missing or wrong.
pub(super) fn read(tree: &Tree, diagnostics: &RefCell<Diagnostics>) -> Option<Gateway> {
    let root = Reader::root(tree, "a gateway", diagnostics);
    if !root.has_our_version() {
        return None;
    }
    let name = root.string("name").unwrap_or_else(|| "gateway".to_owned());
    let kafka = kafka::shared(&root);
    let http = http(&root);
    let routes = routes(&root);
    let limits = root.table("limits");
    let count = |key, default: usize| {
        limits.integer(key, 1..=1_000_000).and_then(|n| usize::try_from(n).ok()).unwrap_or(default)
    };
    let (in_flight, batch) = (count("in_flight", 1_000), count("batch", 1_000));
    limits.finish();
    let cache = root.table("cache");
    let memory = cache.size("memory").unwrap_or(64 << 20);
    let preload = cache.integer("preload", 0..=1_000_000).map_or(1_000, i64::unsigned_abs);
    cache.finish();
    let (shutdown_timeout, metrics) = (shutdown(&root), metrics(&root));
    let state = gateway_state::read(&root);
    root.finish();
    Some(Gateway {
        name,
        kafka,
        http: http?,
        routes: routes?,
        in_flight,
        batch,
        cache: memory,
        preload,
        shutdown_timeout,
        metrics,
        state,
    })
}

fn http(root: &Reader<'_>) -> Option<HttpSettings> {
    let table = root.table("http");
    let size = |key, default: u64| table.size(key).unwrap_or(default) as usize;
    let http = HttpSettings {
        listen: table.address("listen").unwrap_or(SocketAddr::from((Ipv4Addr::LOCALHOST, 8080))),
        timeout: positive(&table, "timeout").unwrap_or(Duration::from_secs(30)),
        client_timeout: positive(&table, "client_timeout").unwrap_or(Duration::from_secs(10)),
        connections: table
            .integer("connections", 1..=1_000_000)
            .and_then(|n| usize::try_from(n).ok())
            .unwrap_or(2_048),
        // Less is more than hyper can work with.
        head: size("head", 16 << 10).max(8 << 10),
        body: size("body", 64 << 10),
        token: table.string("token").map(Secret),
        tls: tls(&table),
    };
    table.finish();
    Some(http)
}

fn tls(http: &Reader<'_>) -> Option<Tls> {
    let given = http.node("tls").is_some_and(|node| matches!(&node.value, Value::Table(_)));
    let table = http.table("tls");
    let file = |key: &str, what: &str| {
        let path = table.string(key).map(PathBuf::from);
        if given { table.required(key, path, what) } else { path }
    };
    let certificate = file("certificate", "a PEM file with the server's certificate chain");
    let key = file("key", "a PEM file with the certificate's private key");
    table.finish();
    Some(Tls { certificate: certificate?, key: key? })
}

fn routes(root: &Reader<'_>) -> Option<Vec<Route>> {
    let table = root.table("routes");
    let tables = table.tables();
    if tables.is_empty() {
        let help = "such as `[routes.factorial]`, with `request.topic` and `result.topic`";
        table.say(table.origin(), "there is no route".to_owned(), Some(help.to_owned()));
    }
    let mut routes: Vec<Route> = Vec::new();
    let mut whole = true;
    for (name, table) in tables {
        match route(name, table) {
            Some(route) if routes.iter().any(|other| other.path == route.path) => {
                let sentence = format!("there are two routes at `{}`", route.path);
                root.say(root.origin(), sentence, Some("give one of them another `path`".to_owned()));
            }
            Some(route) => routes.push(route),
            None => whole = false,
        }
    }
    (whole && !routes.is_empty()).then_some(routes)
}

fn route(name: &str, table: Reader<'_>) -> Option<Route> {
    let path = path(&table, name);
    let bytes = table.choice("values", KINDS).unwrap_or(false);
    let max = table.integer("max_n", 0..=i64::MAX).map_or(u64::MAX, i64::unsigned_abs);
    let correlation = table.choice("correlation", CORRELATIONS);
    let requests = table.table("request");
    let (request, request_format) = side(&requests, "the topic that requests go to");
    requests.finish();
    let results = table.table("result");
    let (result, result_format) = side(&results, "the topic that results come from");
    let store = store(&results);
    results.finish();
    let told = table.table("progress");
    let progress = topic_name(&told, "topic");
    told.finish();
    let dead_letters = letters(&table, request.as_ref());
    if let (Some(request), Some(result)) = (&request, &result)
        && request.topic == result.topic
    {
        let sentence = format!("requests would be taken for results: both are in `{}`", request.topic);
        table.say(table.origin(), sentence, Some("name two topics".to_owned()));
    }
    if bytes && correlation == Some(Correlation::Value) {
        let sentence = "what a result of bytes is the answer to cannot be seen in it".to_owned();
        table.say(table.origin(), sentence, Some("say `correlation = \"id\"`, or leave it out".to_owned()));
    }
    table.finish();
    let values = if bytes {
        Values::Bytes
    } else {
        Values::Numbers { max, request: request_format, result: result_format }
    };
    let default = if bytes { Correlation::Id } else { Correlation::Value };
    Some(Route {
        name: name.to_owned(),
        path: path?,
        request: request?,
        result: result?,
        store,
        progress,
        dead_letters,
        values,
        correlation: correlation.unwrap_or(default),
    })
}

fn letters(route: &Reader<'_>, request: Option<&TopicSettings>) -> Option<RouteLetters> {
    let given = route.node("dead_letters").is_some_and(|node| matches!(&node.value, Value::Table(_)));
    let table = route.table("dead_letters");
    let topic = topic_name(&table, "topic").or_else(|| Some(format!("{}.dlq", request?.topic)));
    let group = table.string("group");
    table.finish();
    if !given {
        return None;
    }
    Some(RouteLetters { topic: topic?, group })
}

/// Letters, digits and `-` alone, so that no path can be taken for a pattern or for one of ours.
fn path(table: &Reader<'_>, name: &str) -> Option<String> {
    let path = table.string("path").unwrap_or_else(|| format!("/{name}"));
    let legal = |part: &str| {
        !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'))
    };
    let parts = path.strip_prefix('/').map(|rest| rest.split('/').collect::<Vec<_>>());
    let ours = ["healthz", "readyz", "requests", "dead-letters", "state"];
    match parts {
        Some(parts) if parts.iter().all(|part| legal(part)) && !ours.contains(&parts[0]) => Some(path),
        _ => {
            let help = "such as \"/factorial\": letters, digits, `-` and `_`, and not /healthz, /readyz, /requests, /dead-letters, /state";
            let origin = table.node("path").map_or(table.origin(), |node| &node.origin);
            table.say(origin, format!("`{path}` cannot be a route's path"), Some(help.to_owned()));
            None
        }
    }
}

fn side(table: &Reader<'_>, what: &str) -> (Option<TopicSettings>, Format) {
    (topic(table, what), table.choice("format", NUMBER_FORMATS).unwrap_or_default())
}
