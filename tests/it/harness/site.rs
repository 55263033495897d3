//! Where a test works: a broker, topics that no other test has, and the settings that lead there.

use std::{path::Path, sync::RwLockReadGuard};

use pipeline::broker::LocalCluster;

use super::{
    Consumed, Gateway, LIMIT, Producer, Worker,
    broker::broker,
    command::{command, finish},
    create_topic, read_committed, records_until,
};

pub struct Site {
    /// Where the test's own clients find the broker.
    pub servers: String,
    pub source: String,
    pub sink: String,
    pub dead_letters: String,
    /// Where its workers, gateways and commands find it.
    entrance: String,
    settings: Vec<String>,
    variables: Vec<(String, String)>,
    _broker: Option<RwLockReadGuard<'static, LocalCluster>>,
}

impl Site {
    /// On the shared broker, which no other test stops meanwhile. A test has one at a time: a second one would wait for
    /// a test that waits for the first.
    pub fn new(test: &str) -> Site {
        let broker = broker();
        let site = Site::at(&broker.bootstrap_servers(), test);
        Site { _broker: Some(broker), ..site }
    }

    /// On a broker that the test has to itself.
    pub fn at(servers: &str, test: &str) -> Site {
        let unique = format!("{test}-{:08x}", fastrand::u32(..));
        let (source, sink) = (format!("{unique}-in"), format!("{unique}-out"));
        // `factorial.toml` works on these topics, and a death is noticed soon.
        let settings = vec![
            format!("source.topic={source}"),
            format!("source.group={source}"),
            format!("sink.topic={sink}"),
            "source.kafka.session.timeout.ms=2000".to_owned(),
            "source.kafka.heartbeat.interval.ms=500".to_owned(),
            "sink.kafka.transaction.timeout.ms=3000".to_owned(),
        ];
        Site {
            servers: servers.to_owned(),
            dead_letters: format!("{source}.dlq"),
            source,
            sink,
            entrance: servers.to_owned(),
            settings,
            variables: Vec::new(),
            _broker: None,
        }
    }

    /// With these settings for its workers and commands too.
    pub fn with(mut self, settings: &[&str]) -> Site {
        self.settings = self.settings(settings);
        self
    }

    /// With requests and results in that format.
    pub fn with_format(self, format: &str) -> Site {
        self.with(&[&format!("source.format={format}"), &format!("sink.format={format}")])
    }

    /// Without those settings that have this in their names.
    pub fn without(mut self, part: &str) -> Site {
        self.settings.retain(|setting| !setting.split('=').next().unwrap().contains(part));
        self
    }

    /// With this variable in the environment of its workers, gateways and commands.
    pub fn env(mut self, name: &str, value: &str) -> Site {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    /// With another way to the broker for its workers, gateways and commands.
    pub fn through(mut self, servers: &str) -> Site {
        self.entrance = servers.to_owned();
        self
    }

    /// With its topics, of which that of the results has so many partitions.
    pub fn with_topics(self, results: i32) -> Site {
        create_topic(&self.servers, &self.source, 2, &[]);
        create_topic(&self.servers, &self.sink, results, &[]);
        self
    }

    /// The names of its topics.
    pub fn topics(&self) -> [&str; 3] {
        [&self.source, &self.sink, &self.dead_letters]
    }

    /// Its settings and more.
    pub fn settings(&self, more: &[&str]) -> Vec<String> {
        self.settings.iter().map(String::as_str).chain(more.iter().copied()).map(str::to_owned).collect()
    }

    /// `pipeline` with these arguments, its settings and more of them.
    pub fn start(&self, arguments: &[&str], more: &[&str]) -> Worker {
        Worker::start(&self.entrance, arguments, &self.settings(more), &self.variables)
    }

    /// `pipeline run factorial.toml`, with more settings.
    pub fn worker(&self, more: &[&str]) -> Worker {
        self.start(&["run", "factorial.toml"], more)
    }

    /// `pipeline serve` with these settings, once it is ready.
    pub fn gateway(&self, more: &[&str]) -> Gateway {
        let gateway = self.gateway_unready(more);
        gateway.wait_until_ready();
        gateway
    }

    /// The same, not ready yet.
    pub fn gateway_unready(&self, more: &[&str]) -> Gateway {
        let mut settings = vec![
            format!("name={}", self.source),
            "http.listen=127.0.0.1:0".to_owned(),
            "metrics.listen=127.0.0.1:0".to_owned(),
            format!("routes.factorial.request.topic={}", self.source),
            format!("routes.factorial.result.topic={}", self.sink),
            "kafka.session.timeout.ms=2000".to_owned(),
            "kafka.heartbeat.interval.ms=300".to_owned(),
        ];
        settings.extend(more.iter().map(|setting| (*setting).to_owned()));
        Gateway::of(Worker::start(&self.entrance, &["serve"], &settings, &self.variables), "/factorial")
    }

    /// `pipeline` with these arguments and its settings, run to its end: exit code, standard output and error.
    pub fn pipeline(&self, arguments: &[&str]) -> (i32, String, String) {
        finish(&mut command(&self.entrance, arguments, &self.settings, &self.variables))
    }

    /// The same in that folder.
    pub fn pipeline_in(&self, folder: &Path, arguments: &[&str]) -> (i32, String, String) {
        finish(command(&self.entrance, arguments, &self.settings, &self.variables).current_dir(folder))
    }

    /// Creates the topic of the requests, and sends some there.
    pub fn producer(&self, partitions: i32) -> Producer {
        Producer::new(&self.servers, &self.source, partitions, &[])
    }

    /// Every record of a topic that is committed.
    pub fn read(&self, topic: &str) -> Vec<Consumed> {
        read_committed(&self.servers, topic)
    }

    /// The results, from the first one until `enough` says so.
    pub fn results(&self, enough: impl FnMut(&Consumed) -> bool) -> Vec<Consumed> {
        records_until(&self.servers, &self.sink, LIMIT, enough)
    }

    /// The same of the dead letters.
    pub fn letters(&self, enough: impl FnMut(&Consumed) -> bool) -> Vec<Consumed> {
        records_until(&self.servers, &self.dead_letters, LIMIT, enough)
    }
}
