use std::{
    fmt::Write as _,
    io::{self, BufRead, IsTerminal},
};

use clap::{Args, Subcommand};

use super::{
    Failure,
    file::{Overrides, load_pipeline},
    stdout,
};
use crate::{
    config::{Pipeline, TopicSettings},
    kafka::{Admin, settings},
};

/// Create, delete, list and describe topics
#[derive(Args, Debug)]
pub struct Topics {
    #[command(subcommand)]
    action: Action,
    /// The pipeline whose brokers and topics are meant
    #[arg(long, value_name = "FILE", default_value = "factorial.toml", global = true)]
    pipeline: String,
}

#[derive(Subcommand, Debug)]
enum Action {
    /// Create a topic; without a name, those that the pipeline needs
    Create {
        /// The topic's name
        topic: Option<String>,
        /// How many partitions [default: the broker's]
        #[arg(long, requires = "topic")]
        partitions: Option<i32>,
        /// How many replicas of each [default: the broker's]
        #[arg(long, requires = "topic")]
        replication: Option<i32>,
        /// A setting of the topic, such as retention.ms=3600000; may be given several times
        #[arg(long, value_name = "NAME=VALUE", value_parser = parse_setting, requires = "topic")]
        config: Vec<(String, String)>,
    },
    /// Delete a topic and all that is in it
    Delete {
        /// The topic's name
        topic: String,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
    /// List the topics and how many partitions each has
    List,
    /// Show a topic's partitions, offsets and settings
    Describe {
        /// The topic's name
        topic: String,
    },
}

fn parse_setting(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("expected NAME=VALUE, such as retention.ms=3600000")?;
    Ok((name.to_owned(), value.to_owned()))
}

impl Topics {
    /// Does what was asked for.
    ///
    /// # Errors
    /// No broker, or it refuses.
    pub fn run(self, overrides: &Overrides) -> Result<(), Failure> {
        let pipeline = load_pipeline(&self.pipeline, overrides)?;
        if let Action::Delete { topic, yes: false } = &self.action
            && !confirm(topic)?
        {
            return Err(Failure::Failed(format!("topic {topic} was not deleted")));
        }
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Failure::failed)?;
        let admin = Admin::new(&settings::common(&pipeline)).map_err(Failure::failed)?;
        let text = runtime.block_on(act(self.action, &admin, &pipeline))?;
        stdout(&text)
    }
}

async fn act(action: Action, admin: &Admin, pipeline: &Pipeline) -> Result<String, Failure> {
    match action {
        Action::Create { topic: Some(topic), partitions, replication, config } => {
            let config = config.into_iter().collect();
            create(admin, &[TopicSettings { topic, partitions, replication, config }]).await
        }
        Action::Create { topic: None, .. } => {
            let mut text =
                create(admin, &[pipeline.source.topic.clone(), pipeline.sink.topic.clone()]).await?;
            admin.ensure_topics(pipeline).await.map_err(Failure::failed)?;
            text += &format!("{} is there\n", pipeline.dead_letters);
            Ok(text)
        }
        Action::Delete { topic, .. } => {
            admin.delete(&topic).await.map_err(Failure::failed)?;
            Ok(format!("deleted {topic}\n"))
        }
        Action::List => list(admin),
        Action::Describe { topic } => describe(admin, &topic).await,
    }
}

async fn create(admin: &Admin, topics: &[TopicSettings]) -> Result<String, Failure> {
    let mut text = String::new();
    for topic in topics {
        let new = admin.create(topic).await.map_err(Failure::failed)?;
        let what = if new { "created" } else { "was there already:" };
        text += &format!("{what} {}\n", topic.topic);
    }
    Ok(text)
}

fn list(admin: &Admin) -> Result<String, Failure> {
    let topics = admin.list().map_err(Failure::failed)?;
    let width = topics.iter().map(|(name, _)| name.len()).max().unwrap_or_default().max(5);
    let mut text = format!("{:width$}  partitions\n", "topic");
    for (name, partitions) in topics {
        // Writing to a String cannot fail; so below.
        let _ = writeln!(text, "{name:width$}  {partitions:>10}");
    }
    Ok(text)
}

async fn describe(admin: &Admin, topic: &str) -> Result<String, Failure> {
    let partitions = admin.describe(topic).map_err(Failure::failed)?;
    let mut text =
        format!("{topic}\n  partition  leader  replicas        first offset  next offset     records\n");
    for p in partitions {
        let replicas: Vec<String> = p.replicas.iter().map(i32::to_string).collect();
        let _ = writeln!(
            text,
            "  {:>9}  {:>6}  {:<14}  {:>12}  {:>11}  {:>10}",
            p.partition,
            p.leader,
            replicas.join(","),
            p.low,
            p.high,
            p.high - p.low
        );
    }
    for (name, value) in admin.topic_config(topic).await.unwrap_or_default() {
        let _ = writeln!(text, "  {name} = {value}");
    }
    Ok(text)
}

/// Asks on a terminal; without one there is nobody to ask.
fn confirm(topic: &str) -> Result<bool, Failure> {
    if !io::stdin().is_terminal() {
        return Err(Failure::usage(format!(
            "deleting {topic} deletes all that is in it: say --yes, as there is no terminal to ask on"
        )));
    }
    eprint!("Delete {topic} and all that is in it? [y/N] ");
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer).map_err(Failure::failed)?;
    Ok(["y", "yes"].contains(&answer.trim().to_lowercase().as_str()))
}
