use clap::CommandFactory;

use super::CommandLine;

#[test]
fn clap_finds_no_contradiction_in_the_command_line() {
    CommandLine::command().debug_assert();
}
