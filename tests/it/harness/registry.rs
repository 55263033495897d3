//! A real schema registry (Apicurio, with Confluent's interface), and Avro for Java, which it brings along.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    sync::OnceLock,
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use pipeline::broker::Watch;
use serde_json::{Value, json};

use super::eventually;

/// The newest one that Java 17 runs.
const VERSION: &str = "3.0.9";
/// It takes its time to start, the more so beside other tests.
const START: Duration = Duration::from_secs(180);

/// Its jars, from Maven Central, once for all runs.
fn jars() -> &'static Path {
    static JARS: OnceLock<PathBuf> = OnceLock::new();
    JARS.get_or_init(|| {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("apicurio-{VERSION}"));
        if !folder.is_dir() {
            let unfinished = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
            let run = |command: &mut Command| {
                let output = command.current_dir(unfinished.path()).output().unwrap();
                assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
            };
            let artifact = format!("-Dartifact=io.apicurio:apicurio-registry-app:{VERSION}:tar.gz:all");
            // Its parent is not in Maven Central, which newer versions of the plugin ask for.
            let get = "org.apache.maven.plugins:maven-dependency-plugin:2.8:get";
            let there = ["-Dtransitive=false", "-Ddest=registry.tar.gz"];
            run(Command::new("mvn").args(["-B", "-q", get, &artifact]).args(there));
            run(Command::new("tar").args(["xzf", "registry.tar.gz"]));
            fs::remove_file(unfinished.path().join("registry.tar.gz")).unwrap();
            // Another run may have been first.
            if fs::rename(unfinished.path(), &folder).is_err() {
                assert!(folder.is_dir());
            }
        }
        folder
    })
}

/// A port that nobody listens on.
pub fn free_port() -> u16 {
    // Nobody else asks for it meanwhile: the system hands ports out in turn.
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// A registry, in memory; killed when it is dropped.
pub struct SchemaRegistry {
    child: Child,
    _watch: Watch,
    url: String,
}

impl SchemaRegistry {
    /// Where one on that port is, whether it runs or not.
    pub fn url(port: u16) -> String {
        format!("http://127.0.0.1:{port}/apis/ccompat/v7")
    }

    /// Starts one, and waits until it answers.
    pub fn start(port: u16) -> SchemaRegistry {
        let child = Command::new("java")
            .args(["-Xmx400m", "-Dquarkus.http.host=127.0.0.1", &format!("-Dquarkus.http.port={port}")])
            .arg("-jar")
            .arg(jars().join(format!("apicurio-registry-app-{VERSION}-runner.jar")))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let registry =
            SchemaRegistry { _watch: Watch::over(&child).unwrap(), child, url: SchemaRegistry::url(port) };
        eventually(START, || {
            ureq::get(format!("{}/subjects", registry.url))
                .call()
                .map(drop)
                .map_err(|error| error.to_string())
        });
        registry
    }

    /// Registers a schema; its id.
    pub fn register(&self, subject: &str, schema: &str) -> u32 {
        let body = json!({ "schema": schema, "schemaType": "AVRO" }).to_string();
        let mut answer = ureq::post(format!("{}/subjects/{subject}/versions", self.url))
            .header("content-type", "application/vnd.schemaregistry.v1+json")
            .send(body)
            .unwrap();
        let answer: Value = serde_json::from_str(&answer.body_mut().read_to_string().unwrap()).unwrap();
        answer["id"].as_u64().unwrap() as u32
    }

    /// The schema of an id.
    pub fn schema(&self, id: u32) -> String {
        let mut answer = ureq::get(format!("{}/schemas/ids/{id}", self.url)).call().unwrap();
        let answer: Value = serde_json::from_str(&answer.body_mut().read_to_string().unwrap()).unwrap();
        answer["schema"].as_str().unwrap().to_owned()
    }

    /// Which schemas may follow one another in a subject, such as `BACKWARD`.
    pub fn demand(&self, subject: &str, compatibility: &str) {
        ureq::put(format!("{}/config/{subject}", self.url))
            .header("content-type", "application/vnd.schemaregistry.v1+json")
            .send(json!({ "compatibility": compatibility }).to_string())
            .unwrap();
    }
}

impl Drop for SchemaRegistry {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Apache's Avro for Java.
pub struct JavaAvro {
    child: Child,
    _watch: Watch,
    questions: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl JavaAvro {
    pub fn start() -> JavaAvro {
        let mut child = Command::new("java")
            .arg("-cp")
            .arg(jars().join("lib").join("*"))
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/schemas/Peer.java"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (questions, answers) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let watch = Watch::over(&child).unwrap();
        JavaAvro { child, _watch: watch, questions, answers: BufReader::new(answers) }
    }

    fn ask(&mut self, what: &str, parts: &[&[u8]]) -> String {
        let parts: Vec<String> = parts.iter().map(|part| STANDARD.encode(part)).collect();
        writeln!(self.questions, "{what} {}", parts.join(" ")).unwrap();
        let mut answer = String::new();
        self.answers.read_line(&mut answer).unwrap();
        assert!(!answer.starts_with("error"), "{answer}");
        answer.trim_end().to_owned()
    }

    /// The bytes of a value, which is in Avro's JSON.
    pub fn write(&mut self, schema: &str, value: &Value) -> Vec<u8> {
        STANDARD.decode(self.ask("write", &[schema.as_bytes(), value.to_string().as_bytes()])).unwrap()
    }

    /// The value that bytes are, which one schema has written and another one reads, in Avro's JSON.
    pub fn read(&mut self, writer: &str, reader: &str, bytes: &[u8]) -> Value {
        serde_json::from_str(&self.ask("read", &[writer.as_bytes(), reader.as_bytes(), bytes])).unwrap()
    }
}

impl Drop for JavaAvro {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
