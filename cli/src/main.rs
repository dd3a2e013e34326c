//! The spanseal program.

mod load;
mod output;

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
    Load(load::Load),
}

#[tokio::main]
async fn main() -> ExitCode {
    let done = match Arguments::parse().command {
        Command::Load(load) => load::run(load).await,
    };
    done.unwrap_or_else(|error| {
        eprintln!("spanseal: {error:#}");
        ExitCode::from(2)
    })
}
