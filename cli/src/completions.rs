//! `spanseal completions`: what a shell needs to complete commands and flags.

use std::io::Write as _;
use std::process::ExitCode;

/// Print completions for a shell, to be put where it looks for them.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  spanseal completions bash > ~/.local/share/bash-completion/completions/spanseal
  spanseal completions zsh > ~/.zfunc/_spanseal
  spanseal completions fish > ~/.config/fish/completions/spanseal.fish")]
pub(crate) struct Completions {
    /// The shell.
    shell: clap_complete::Shell,
}

/// Prints the completions of the commands given.
///
/// # Errors
/// When standard output cannot be written.
pub(crate) fn run(completions: &Completions, command: &clap::Command) -> anyhow::Result<ExitCode> {
    // Some shells would be told of hidden ones.
    let visible = command.get_subcommands().filter(|command| !command.is_hide_set()).cloned();
    let mut command = clap::Command::new("spanseal").subcommands(visible);
    let mut script = Vec::new();
    clap_complete::generate(completions.shell, &mut command, "spanseal", &mut script);
    std::io::stdout().write_all(&script)?;
    Ok(ExitCode::SUCCESS)
}
