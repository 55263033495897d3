//! Requests to the metrics port of other processes.

use std::time::Duration;

use ureq::Agent;

/// How long a process may take to answer.
const LIMIT: Duration = Duration::from_secs(5);

/// Fetches a path from a process. The URL may be just `host:port`, and may end in `/metrics`.
///
/// # Errors
/// A sentence that says why there is no answer.
pub fn get(url: &str, path: &str) -> Result<String, String> {
    let base = url.trim_end_matches('/').trim_end_matches("/metrics");
    let base = if base.contains("://") { base.to_owned() } else { format!("http://{base}") };
    let agent: Agent = Agent::config_builder().timeout_global(Some(LIMIT)).build().into();
    let answer =
        agent.get(format!("{base}{path}")).call().and_then(|mut answer| answer.body_mut().read_to_string());
    answer.map_err(|error| {
        let trouble = match error {
            ureq::Error::StatusCode(code) => {
                format!("{base}{path} does not serve a process's metrics (it answers {code})")
            }
            error => format!("no answer from {base}{path}: {error}"),
        };
        format!("{trouble}; name the address that `pipeline run` announces for its metrics")
    })
}
