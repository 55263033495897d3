//! The binary, run to its end.

use std::{
    fs,
    process::{Command, Output, Stdio},
};

use tempfile::TempDir;

/// A file of a pipeline with a test, for commands that need no broker.
pub const MINE: &str = r#"name = "mine"
order = "key"

[source]
topic = "in"

[operators.small]
operator = "filter"
max = 100

[operators.factorial]

[sink]
topic = "out"
format = "json"

[[test]]
name = "three is small, a thousand is not"
input = ["3", "1000"]
output = '{"n":3,"result":"6"}'
"#;

/// `pipeline` with these arguments and settings, and these variables in its environment. There is no terminal.
pub(super) fn command(
    servers: &str,
    arguments: &[&str],
    settings: &[String],
    variables: &[(String, String)],
) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pipeline"));
    command
        .args(arguments)
        .args(settings.iter().map(|setting| format!("--set={setting}")))
        .envs(variables.iter().map(|(name, value)| (name, value)))
        .env("PIPELINE_BOOTSTRAP_SERVERS", servers)
        .stdin(Stdio::null());
    command
}

/// Runs it to its end: exit code, standard output and error.
pub fn finish(command: &mut Command) -> (i32, String, String) {
    let Output { status, stdout, stderr } = command.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code().unwrap(), text(stdout), text(stderr))
}

/// `pipeline` with these arguments and settings, run to its end.
pub fn pipeline(servers: &str, arguments: &[&str], settings: &[String]) -> (i32, String, String) {
    finish(&mut command(servers, arguments, settings, &[]))
}

/// The same in a folder with that `mine.toml`, where nothing says where a broker is.
pub fn pipeline_offline(toml: &str, arguments: &[&str]) -> (i32, String, String) {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("mine.toml"), toml).unwrap();
    let mut command = command("", arguments, &[], &[]);
    finish(command.current_dir(folder.path()).env_remove("PIPELINE_BOOTSTRAP_SERVERS"))
}

/// Python with the package `confluent-kafka`.
pub fn python() -> Command {
    let has_client = |python: &&str| {
        let import = Command::new(python).args(["-c", "import confluent_kafka"]).status();
        import.is_ok_and(|status| status.success())
    };
    let found = ["python3", "/usr/bin/python3"].into_iter().find(has_client);
    Command::new(found.expect("confluent-kafka for Python"))
}
