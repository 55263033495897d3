//! `pipeline tap`.

use clap::Args;

use super::{
    Failure,
    file::{Overrides, load_pipeline},
    preview::Preview,
};
use crate::{
    config::Pipeline,
    kafka::Begin,
    settings::closest,
    telemetry::{announce, init_logging},
};

/// Shows live what goes through a step of a pipeline
///
/// It reads the source topics beside the workers and computes the steps itself: it joins no group, and writes and commits
/// nothing.
#[derive(Args, Debug)]
pub struct Tap {
    /// A file as given, in pipelines/, or built in, such as factorial.toml
    #[arg(value_name = "FILE")]
    file: String,
    /// After which step: an operator's table, or `source` for the records as they come; without it, the results
    #[arg(long, value_name = "NAME")]
    step: Option<String>,
    /// How many records are shown in a second at most; the others are counted
    #[arg(long, value_name = "NUMBER", default_value_t = 20)]
    rate: u32,
    /// Ends after that many records
    #[arg(long, value_name = "NUMBER")]
    count: Option<u64>,
    /// Begins at the group's committed offsets instead of with the next record
    #[arg(long)]
    committed: bool,
    #[command(flatten)]
    overrides: Overrides,
}

impl Tap {
    pub fn run(self) -> Result<(), Failure> {
        let pipeline = load_pipeline(&self.file, &self.overrides)?;
        let steps = steps(&pipeline, self.step.as_deref())?;
        init_logging();
        let (begin, from) = match self.committed {
            true => (Begin::Committed, "from the group's committed offsets on"),
            false => (Begin::End, "from now on"),
        };
        let what = self.step.map_or_else(|| "results".to_owned(), |step| format!("what comes out of {step}"));
        announce(&format!("{}: {what}, {from}; nothing is written or committed", pipeline.name));
        let preview = Preview { steps, begin, dropped: false, rate: Some(self.rate), count: self.count };
        preview.show(&pipeline)
    }
}

/// How many steps are taken up to the one of that name.
fn steps(pipeline: &Pipeline, name: Option<&str>) -> Result<usize, Failure> {
    let names = || pipeline.steps.iter().map(|step| step.name.as_str());
    match name {
        None => Ok(usize::MAX),
        Some("source") => Ok(0),
        Some(name) => names().position(|step| step == name).map(|place| place + 1).ok_or_else(|| {
            let known: Vec<String> =
                ["source"].into_iter().chain(names()).map(|name| format!("`{name}`")).collect();
            let near = closest(name, names()).map_or_else(
                || format!("there are {}", known.join(", ")),
                |near| format!("did you mean `{near}`?"),
            );
            Failure::Usage(format!("{} has no step `{name}`: {near}", pipeline.name))
        }),
    }
}
