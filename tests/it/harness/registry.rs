//! A real schema registry: Apicurio, with Confluent's interface.

use std::{
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::OnceLock,
    time::Duration,
};

use pipeline::broker::Watch;
use serde_json::{Value, json};

use super::eventually;

/// The newest one that Java 17 runs.
const VERSION: &str = "3.0.9";
/// It takes its time to start, the more so beside other tests.
const START: Duration = Duration::from_secs(180);

/// Its jars, from Maven Central, once for all runs.
pub(super) fn jars() -> &'static Path {
    static JARS: OnceLock<PathBuf> = OnceLock::new();
    JARS.get_or_init(|| {
        fetched(&format!("apicurio-{VERSION}"), |folder| {
            let artifact = format!("-Dartifact=io.apicurio:apicurio-registry-app:{VERSION}:tar.gz:all");
            // Its parent is not in Maven Central, which newer versions of the plugin ask for.
            let get = "org.apache.maven.plugins:maven-dependency-plugin:2.8:get";
            let there = ["-Dtransitive=false", "-Ddest=registry.tar.gz"];
            run(folder, Command::new("mvn").args(["-B", "-q", get, &artifact]).args(there));
            run(folder, Command::new("tar").args(["xzf", "registry.tar.gz"]));
            fs::remove_file(folder.join("registry.tar.gz")).unwrap();
        })
    })
}

/// A folder of that name that is kept from run to run; `fetch` fills it where it is not there.
pub(super) fn fetched(name: &str, fetch: impl FnOnce(&Path)) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    if !folder.is_dir() {
        let unfinished = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        fetch(unfinished.path());
        // Another run may have been first.
        if fs::rename(unfinished.path(), &folder).is_err() {
            assert!(folder.is_dir());
        }
    }
    folder
}

/// Runs a command there, which must succeed.
pub(super) fn run(folder: &Path, command: &mut Command) {
    let output = command.current_dir(folder).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
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

    /// Where its own interface is, which Apicurio's serializers speak.
    pub fn native_url(port: u16) -> String {
        format!("http://127.0.0.1:{port}/apis/registry/v2")
    }

    /// Registers a schema of that kind, such as `AVRO`; its id.
    pub fn register(&self, subject: &str, kind: &str, schema: &str) -> u32 {
        let body = json!({ "schema": schema, "schemaType": kind }).to_string();
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
