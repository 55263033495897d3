use clap::{Command, CommandFactory};

use super::CommandLine;

#[test]
fn clap_finds_no_contradiction_in_the_command_line() {
    CommandLine::command().debug_assert();
}

/// The commands that are in the examples of a command's help, and of those within it: each with the command that has it.
fn examples(command: &Command, of: &str, all: &mut Vec<(String, String)>) {
    let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    for line in help.lines().filter_map(|line| line.strip_prefix("  pipeline ")) {
        // What it does stands behind it.
        let example = line.split("  ").next().unwrap_or_default();
        all.push((of.to_owned(), format!("pipeline {example}")));
    }
    command.get_subcommands().for_each(|inner| examples(inner, &format!("{of} {}", inner.get_name()), all));
}

#[test]
fn the_examples_of_help_are_commands_that_there_are() {
    let mut all = Vec::new();
    examples(&CommandLine::command(), "pipeline", &mut all);
    for (of, example) in &all {
        let parsed = CommandLine::command().try_get_matches_from(example.split(' '));
        assert!(parsed.is_ok(), "{of}: {example}: {}", parsed.unwrap_err());
    }
    // Somebody reads these at night.
    for command in [
        "transactions",
        "transactions list",
        "transactions describe",
        "transactions abort",
        "dead-letters replay",
        "dead-letters drop",
        "offsets reset",
        "pause",
        "resume",
        "rate",
    ] {
        let command = format!("pipeline {command}");
        let own = |(of, example): &&(String, String)| *of == command && example.starts_with(&command);
        assert!(all.iter().any(|one| own(&one)), "{command} has no example");
    }
}
