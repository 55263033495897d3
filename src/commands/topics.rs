//! `pipeline topics`.

use std::io::{self, IsTerminal};

use clap::{Args, Subcommand, value_parser};

use super::{
    Failure, asked,
    file::{Overrides, load_pipeline},
    stdout,
};
use crate::{
    config::{Pipeline, TopicSettings},
    kafka::{Admin, TopicDescription, settings},
};

/// Create, delete, list and describe topics
#[derive(Args, Debug)]
pub struct Topics {
    #[command(subcommand)]
    action: Action,
    /// The pipeline whose brokers and topics to use
    #[arg(long, value_name = "FILE", default_value = "factorial.toml", global = true)]
    pipeline: String,
    #[command(flatten)]
    overrides: Overrides,
}

#[derive(Subcommand, Debug)]
enum Action {
    /// Create a topic; without a name, the topics that the pipeline needs
    Create {
        /// The topic's name
        topic: Option<String>,
        /// How many partitions [default: the broker's]
        #[arg(long, requires = "topic", value_parser = value_parser!(i32).range(1..))]
        partitions: Option<i32>,
        /// How many replicas of each [default: the broker's]
        #[arg(long, requires = "topic", value_parser = value_parser!(i32).range(1..))]
        replication: Option<i32>,
        /// A setting of the topic, such as retention.ms=3600000; may be given several times
        #[arg(long, value_name = "NAME=VALUE", value_parser = parse_setting, requires = "topic")]
        config: Vec<(String, String)>,
    },
    /// Delete a topic with all its records
    Delete {
        /// The topic's name
        topic: String,
        /// Do not ask for confirmation; required without a terminal
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
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("expected NAME=VALUE, such as retention.ms=3600000".to_owned()),
    }
}

impl Topics {
    /// Executes the action.
    ///
    /// # Errors
    /// No broker, or it refuses.
    pub fn run(self) -> Result<(), Failure> {
        let pipeline = load_pipeline(&self.pipeline, &self.overrides)?;
        if let Action::Delete { topic, yes: false } = &self.action
            && !io::stdin().is_terminal()
        {
            return Err(Failure::usage(format!(
                "deleting {topic} deletes all that is in it: say --yes, as there is no terminal to ask on"
            )));
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
            if admin.is_embedded() && (partitions.is_some() || replication.is_some() || !config.is_empty()) {
                return Err(Failure::failed(format!(
                    "cannot create topic {topic} with these settings: the embedded broker gives every topic its own settings"
                )));
            }
            let config = config.into_iter().collect();
            let settings = TopicSettings { topic, partitions, replication, config };
            let new = admin.create(&settings).await.map_err(Failure::failed)?;
            Ok(created(&settings.topic, new))
        }
        Action::Create { topic: None, .. } => {
            let topics = admin.create_topics(pipeline).await.map_err(Failure::failed)?;
            Ok(topics.iter().map(|(topic, new)| created(topic, *new)).collect())
        }
        Action::Delete { topic, yes } => {
            let found = admin.describe(&topic).map_err(Failure::failed)?;
            if !yes && !confirm(admin, &found)? {
                return Err(Failure::Failed(format!("topic {topic} was not deleted")));
            }
            admin.delete(&topic).await.map_err(Failure::failed)?;
            Ok(format!("deleted {topic}\n"))
        }
        Action::List => list(admin),
        Action::Describe { topic } => describe(admin, &topic).await,
    }
}

fn created(topic: &str, new: bool) -> String {
    if new { format!("created {topic}\n") } else { format!("{topic} is there already\n") }
}

fn list(admin: &Admin) -> Result<String, Failure> {
    let topics = admin.list().map_err(Failure::failed)?;
    let rows = topics.iter().map(|topic| {
        let replicas = topic.partitions.first().map_or(0, |partition| partition.replicas.len());
        [topic.name.clone(), topic.partitions.len().to_string(), replicas.to_string()]
    });
    Ok(table(["topic", "partitions", "replicas"], rows))
}

async fn describe(admin: &Admin, topic: &str) -> Result<String, Failure> {
    let found = admin.describe(topic).map_err(Failure::failed)?;
    let brokers = |ids: &[i32]| ids.iter().map(i32::to_string).collect::<Vec<_>>().join(",");
    let mut rows = Vec::new();
    for partition in &found.partitions {
        let (first, next) = admin.offsets(topic, partition.partition).map_err(Failure::failed)?;
        let leader = if partition.leader < 0 { "none".to_owned() } else { partition.leader.to_string() };
        rows.push([
            partition.partition.to_string(),
            leader,
            brokers(&partition.replicas),
            brokers(&partition.in_sync),
            first.to_string(),
            next.to_string(),
        ]);
    }
    let head = ["partition", "leader", "replicas", "in sync", "first offset", "next offset"];
    let mut text = table(head, rows);
    let own = admin.topic_config(topic).await.unwrap_or_default();
    if !own.is_empty() {
        text += "\nits own settings\n";
        own.iter().for_each(|(name, value)| text += &format!("{name} = {value}\n"));
    }
    Ok(text)
}

/// Columns as wide as their widest cell: the first to the left, the others, mostly numbers, to the right.
pub(super) fn table<const N: usize>(head: [&str; N], rows: impl IntoIterator<Item = [String; N]>) -> String {
    let mut lines = vec![head.map(str::to_owned)];
    lines.extend(rows);
    let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0);
    let widths: [usize; N] = std::array::from_fn(width);
    let mut text = String::new();
    for line in &lines {
        text += &format!("{:1$}", line[0], widths[0]);
        line.iter().zip(widths).skip(1).for_each(|(cell, width)| text += &format!("  {cell:>width$}"));
        text += "\n";
    }
    text
}

fn confirm(admin: &Admin, topic: &TopicDescription) -> Result<bool, Failure> {
    let mut records = 0;
    for partition in &topic.partitions {
        let (first, next) = admin.offsets(&topic.name, partition.partition).map_err(Failure::failed)?;
        records += next - first;
    }
    // Transaction markers have offsets too.
    asked(&format!("Delete {} at {}, and up to {records} records in it?", topic.name, admin.servers()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let rows = [["a-long-name", "2"], ["b", "100000"]].map(|row| row.map(str::to_owned));
        assert_eq!(
            table(["topic", "records"], rows),
            "topic        records\na-long-name        2\nb             100000\n"
        );
    }

    #[test]
    fn a_setting_needs_a_name_and_an_equals_sign_and_its_value_may_have_more_of_them() {
        assert_eq!(parse_setting("a.b=c=d"), Ok(("a.b".to_owned(), "c=d".to_owned())));
        for text in ["retention.ms", "=5", ""] {
            assert!(parse_setting(text).unwrap_err().starts_with("expected NAME=VALUE"), "{text}");
        }
    }
}
