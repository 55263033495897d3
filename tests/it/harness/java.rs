//! Programs in Java that answer a line with a line: other people's libraries for what we write ourselves.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use pipeline::broker::Watch;
use serde_json::Value;

use super::registry::{fetched, jars, run};

/// Apicurio's serializers: the newest ones whose dependencies are all in Maven Central.
const SERDES: &str = "2.6.6.Final";

struct Java {
    child: Child,
    _watch: Watch,
    questions: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Java {
    /// A file of `tests/it/schemas`, with the jars of a folder.
    fn start(jars: &Path, file: &str, arguments: &[&str]) -> Java {
        let mut child = Command::new("java")
            .arg("-cp")
            .arg(jars.join("*"))
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/schemas").join(file))
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let (questions, answers) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let watch = Watch::over(&child).unwrap();
        Java { child, _watch: watch, questions, answers: BufReader::new(answers) }
    }

    fn ask(&mut self, what: &str, parts: &[&[u8]]) -> String {
        let parts: Vec<String> = parts.iter().map(|part| STANDARD.encode(part)).collect();
        writeln!(self.questions, "{what} {}", parts.join(" ")).unwrap();
        let mut answer = String::new();
        self.answers.read_line(&mut answer).unwrap();
        assert!(!answer.is_empty() && !answer.starts_with("error"), "{what}: {answer}");
        answer.trim_end().to_owned()
    }
}

impl Drop for Java {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Apache's Avro for Java, and Google's Protobuf for it.
pub struct JavaFormats(Java);

impl JavaFormats {
    pub fn start() -> JavaFormats {
        JavaFormats(Java::start(&jars().join("lib"), "Peer.java", &[]))
    }

    /// The bytes of a value, which is in Avro's JSON.
    pub fn write(&mut self, schema: &str, value: &Value) -> Vec<u8> {
        let answer = self.0.ask("write", &[schema.as_bytes(), value.to_string().as_bytes()]);
        STANDARD.decode(answer).unwrap()
    }

    /// The value that bytes are, which one schema has written and another one reads, in Avro's JSON.
    pub fn read(&mut self, writer: &str, reader: &str, bytes: &[u8]) -> Value {
        let answer = self.0.ask("read", &[writer.as_bytes(), reader.as_bytes(), bytes]);
        serde_json::from_str(&answer).unwrap()
    }

    /// The bytes of a message, which is in Protobuf's JSON, behind its place in the schema.
    pub fn message(&mut self, schema: &str, name: &str, value: &Value) -> Vec<u8> {
        let value = value.to_string();
        let parts = [schema.as_bytes(), name.as_bytes(), value.as_bytes()];
        STANDARD.decode(self.0.ask("message", &parts)).unwrap()
    }

    /// The full name and the value of the message that such bytes are.
    pub fn message_of(&mut self, schema: &str, bytes: &[u8]) -> (String, Value) {
        serde_json::from_str(&self.0.ask("message-of", &[schema.as_bytes(), bytes])).unwrap()
    }
}

/// Kafka's clients for Java, with serializers of Avro that ask a registry.
pub struct JavaClients(Java);

impl JavaClients {
    pub fn start(servers: &str, registry: &str) -> JavaClients {
        let jars = fetched(&format!("apicurio-serdes-{SERDES}"), |folder| {
            let pom = format!(
                "<project><modelVersion>4.0.0</modelVersion>\
                 <groupId>x</groupId><artifactId>x</artifactId><version>1</version><dependencies><dependency>\
                 <groupId>io.apicurio</groupId><artifactId>apicurio-registry-serdes-avro-serde</artifactId>\
                 <version>{SERDES}</version></dependency></dependencies></project>"
            );
            fs::write(folder.join("pom.xml"), pom).unwrap();
            let copy = "org.apache.maven.plugins:maven-dependency-plugin:2.8:copy-dependencies";
            let to = ["-DoutputDirectory=.", "-DincludeScope=runtime"];
            run(folder, Command::new("mvn").args(["-B", "-q", copy]).args(to));
        });
        JavaClients(Java::start(&jars, "Clients.java", &[servers, registry]))
    }

    /// Sends values, which are in Avro's JSON, with their keys, and waits until they are there.
    pub fn send(&mut self, topic: &str, schema: &str, values: impl IntoIterator<Item = (String, Value)>) {
        for (key, value) in values {
            let value = value.to_string();
            let parts = [topic.as_bytes(), key.as_bytes(), schema.as_bytes(), value.as_bytes()];
            self.0.ask("send", &parts);
        }
        self.0.ask("flush", &[]);
    }

    /// The first records of a topic: their keys, and their values in Avro's JSON.
    pub fn receive(&mut self, topic: &str, count: usize) -> Vec<(String, Value)> {
        let answer = self.0.ask("receive", &[topic.as_bytes(), count.to_string().as_bytes()]);
        serde_json::from_str(&answer).unwrap()
    }
}
