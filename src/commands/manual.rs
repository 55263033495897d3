//! Manual pages and shell completions.

use clap::{Args, CommandFactory};
use clap_complete::{Shell, generate};
use clap_mangen::Man;

use super::{CommandLine, Failure, stdout};

/// Prints the completions for a shell
///
/// For bash: `pipeline completions bash > ~/.local/share/bash-completion/completions/pipeline`;
/// for zsh, a file named `_pipeline` in a folder of `$fpath`;
/// for fish: `~/.config/fish/completions/pipeline.fish`.
#[derive(Args, Debug)]
pub struct Completions {
    /// The shell
    shell: Shell,
}

impl Completions {
    pub fn run(self) -> Result<(), Failure> {
        let mut script = Vec::new();
        generate(self.shell, &mut CommandLine::command(), "pipeline", &mut script);
        stdout(&script)
    }
}

/// Prints the manual page
///
/// To read it: `pipeline man | man -l -`. With a command's name, that command's page.
#[derive(Args, Debug)]
pub struct Manual {
    /// A command, such as run
    command: Option<String>,
}

impl Manual {
    pub fn run(self) -> Result<(), Failure> {
        let mut root = CommandLine::command();
        root.build();
        let command = match &self.command {
            None => root,
            Some(name) => root.find_subcommand(name).cloned().ok_or_else(|| {
                Failure::Usage(format!("there is no command {name}: see `pipeline --help`"))
            })?,
        };
        let mut page = Vec::new();
        Man::new(command).render(&mut page).map_err(Failure::failed)?;
        stdout(&page)
    }
}
