//! Asks other processes at the port where they serve their metrics.

use std::time::Duration;

use ureq::Agent;

/// Who does not answer for so long is not there.
const LIMIT: Duration = Duration::from_secs(5);

/// What a process answers at that path. The URL may be `host:port` alone, and may end in `/metrics`.
///
/// # Errors
/// A sentence, where there is no answer.
pub fn ask(url: &str, path: &str) -> Result<String, String> {
    let base = url.trim_end_matches('/').trim_end_matches("/metrics");
    let base = if base.contains("://") { base.to_owned() } else { format!("http://{base}") };
    let agent: Agent = Agent::config_builder().timeout_global(Some(LIMIT)).build().into();
    let answer =
        agent.get(format!("{base}{path}")).call().and_then(|mut answer| answer.body_mut().read_to_string());
    answer.map_err(|error| {
        let trouble = match error {
            ureq::Error::StatusCode(code) => {
                format!("{base}{path} is not where a process serves its metrics (it answers {code})")
            }
            error => format!("nobody answers at {base}{path}: {error}"),
        };
        format!("{trouble}; name the address that `pipeline run` announces for its metrics")
    })
}
