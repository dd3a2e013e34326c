//! The spanseal program.

mod approvals;
mod completions;
mod demo;
mod erase;
mod find;
mod health;
mod hold;
mod index;
mod keys;
mod load;
mod logging;
mod output;
mod reindex;
mod settings;
mod subject;
mod text;
mod up;
mod validate;
mod verify;
mod why;

use std::process::ExitCode;

use clap::{CommandFactory as _, Parser as _};

/// Provenance for agent actions, on OpenTelemetry: seal spans, explain them, prove them.
#[derive(clap::Parser)]
#[command(
    name = "spanseal",
    version,
    after_help = "Start with `spanseal demo`. Exit codes: 0 holds or done, 1 tampered, missing or wrong, 2 could not be checked or done."
)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    Demo(demo::Demo),
    Up(up::Up),
    Collect(up::Collect),
    Find(Box<find::Find>),
    Why(why::Why),
    Verify(verify::Verify),
    Keys(keys::Keys),
    Validate(validate::Validate),
    Reindex(reindex::Reindex),
    Erase(erase::Erase),
    Hold(hold::Hold),
    Approvals(approvals::Approvals),
    Health(health::Health),
    Load(load::Load),
    Completions(completions::Completions),
    #[command(hide = true)]
    DemoAgent(demo::agent::Agent),
}

#[tokio::main]
async fn main() -> ExitCode {
    let done = match Arguments::parse().command {
        Command::Demo(demo) => demo::run(demo).await,
        Command::Up(up) => up.run().await,
        Command::Collect(collect) => collect.run().await,
        Command::Find(find) => find::run(*find),
        Command::Why(why) => why::run(&why),
        Command::Verify(verify) => verify::run(&verify),
        Command::Keys(keys) => keys::run(&keys),
        Command::Validate(validate) => validate::run(&validate),
        Command::Reindex(reindex) => reindex::run(&reindex),
        Command::Erase(erase) => erase::run(erase).await,
        Command::Hold(hold) => hold::run(hold).await,
        Command::Approvals(approvals) => approvals::run(approvals).await,
        Command::Health(health) => health::run(health).await,
        Command::Load(load) => load::run(load).await,
        Command::Completions(completions) => completions::run(&completions, &Arguments::command()),
        Command::DemoAgent(agent) => demo::agent::run(agent).await,
    };
    done.unwrap_or_else(|error| {
        eprintln!("spanseal: {}", text::printable_lines(&format!("{error:#}")));
        ExitCode::from(2)
    })
}
