use std::process::{Command, Output, Stdio};

/// `pipeline` with these arguments and settings, run to its end: exit code, standard output and error. There is
/// no terminal.
pub fn pipeline(servers: &str, arguments: &[&str], settings: &[String]) -> (i32, String, String) {
    let Output { status, stdout, stderr } = Command::new(env!("CARGO_BIN_EXE_pipeline"))
        .args(arguments)
        .args(settings.iter().map(|setting| format!("--set={setting}")))
        .env("PIPELINE_BOOTSTRAP_SERVERS", servers)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code().unwrap(), text(stdout), text(stderr))
}
