//! The spanseal program.

mod health;
mod load;
mod logging;
mod output;
mod settings;
mod validate;

use std::process::ExitCode;

use clap::Parser as _;

#[derive(clap::Parser)]
#[command(version, about)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    Validate(validate::Validate),
    Load(load::Load),
    Health(health::Health),
}

#[tokio::main]
async fn main() -> ExitCode {
    let done = match Arguments::parse().command {
        Command::Validate(validate) => validate::run(&validate),
        Command::Load(load) => load::run(load).await,
        Command::Health(health) => health::run(health).await,
    };
    done.unwrap_or_else(|error| {
        eprintln!("spanseal: {error:#}");
        ExitCode::from(2)
    })
}
