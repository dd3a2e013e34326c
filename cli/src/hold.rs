//! `spanseal hold`: keeps a subject's key from being destroyed.

use std::io::{self, Write};
use std::process::ExitCode;

use serde::Serialize;
use spanseal_collector::control::{ControlError, carry_out};
use spanseal_collector::seal::Order;

use crate::output::Output;
use crate::settings::DataDir;
use crate::subject::{Found, Whose, open};
use crate::text::{hex, printable, time_of_seconds};

/// Place a legal hold on a subject, release it, or list the holds. `spanseal erase` refuses what is under a hold.
///
/// The ledger records each hold and each release, by the subject's random id.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  spanseal hold add alice@acme.example --by legal@acme.example --reason 'case 7'
  spanseal hold list
  spanseal hold remove alice@acme.example --by legal@acme.example --reason 'case 7 is closed'")]
pub(crate) struct Hold {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    Add(Change),
    Remove(Change),
    List(List),
}

/// A subject, and what the ledger is told.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  spanseal hold add alice@acme.example --by legal@acme.example --reason 'case 7'
  spanseal hold remove --trace 0af7651916cd43dd8448eb211c80319c --by legal --reason 'case 7 is closed'

Exit codes: 0 done, 1 refused (it is under a hold already, or under none), 2 could not be done.")]
struct Change {
    #[command(flatten)]
    whose: Whose,
    /// Who does it; stands in the ledger.
    #[arg(long, value_name = "WHO")]
    by: String,
    /// Why; stands in the ledger.
    #[arg(long, value_name = "WHY")]
    reason: String,
    #[command(flatten)]
    data: DataDir,
    #[command(flatten)]
    output: Output,
}

/// List the subjects under a hold.
#[derive(Debug, clap::Args)]
struct List {
    #[command(flatten)]
    data: DataDir,
    #[command(flatten)]
    output: Output,
}

#[derive(Serialize)]
struct Changed {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<String>,
    /// That says so in the ledger.
    #[serde(skip_serializing_if = "Option::is_none")]
    event: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refused: Option<String>,
}

#[derive(Serialize)]
struct Held {
    subject: String,
    tenant: String,
    name: String,
    placed_by: String,
    reason: String,
    since_unix_nano: u64,
}

/// Does what was asked for.
///
/// # Errors
/// When it could not be done.
pub(crate) async fn run(hold: Hold) -> anyhow::Result<ExitCode> {
    match hold.what {
        What::Add(change) => changed(&change, true).await,
        What::Remove(change) => changed(&change, false).await,
        What::List(list) => {
            let held = open(&list.data.data)?.held()?;
            let held: Vec<Held> = held
                .into_iter()
                .filter_map(|known| {
                    let hold = known.hold?;
                    Some(Held {
                        subject: hex(&known.id),
                        tenant: known.name.tenant,
                        name: known.name.subject,
                        placed_by: hold.placed_by,
                        reason: hold.reason,
                        since_unix_nano: hold.since_unix_nano,
                    })
                })
                .collect();
            list.output.print(&held, |held, out| write_list(held, out))?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

async fn changed(change: &Change, add: bool) -> anyhow::Result<ExitCode> {
    let mut changed = Changed { name: change.whose.stored_name(), subject: None, event: None, refused: None };
    let order = order(change, add)?;
    match order {
        Err(refused) => changed.refused = Some(refused),
        Ok(order) => match carry_out(&change.data.data, order).await {
            Ok(done) => (changed.subject, changed.event) = (Some(done.subject), Some(done.event)),
            Err(ControlError::Refused(refused)) if refused.is_final() => changed.refused = Some(refused.to_string()),
            Err(error) => return Err(error.into()),
        },
    }
    let word = if add { "held" } else { "released" };
    change.output.print(&changed, |changed, out| write_changed(changed, word, out))?;
    Ok(ExitCode::from(u8::from(changed.refused.is_some())))
}

/// Returns what the collector is asked to do, or why there is no use in asking.
fn order(change: &Change, add: bool) -> anyhow::Result<Result<Order, String>> {
    let (by, reason) = (change.by.clone(), change.reason.clone());
    let file = open(&change.data.data)?;
    Ok(match (change.whose.find(&file)?, add) {
        (Found::Several(tenants), _) => {
            Err(format!("several tenants have it, say which by --tenant: {}", tenants.join(", ")))
        }
        (Found::One(known), true) => {
            Ok(Order::Hold { tenant: known.name.tenant, subject: known.name.subject, placed_by: by, reason })
        }
        (Found::None, true) if change.whose.is_named() => Ok(Order::Hold {
            tenant: change.whose.new_tenant(),
            subject: change.whose.stored_name(),
            placed_by: by,
            reason,
        }),
        (Found::One(known), false) => Ok(Order::Release { id: hex(&known.id), released_by: by, reason }),
        (Found::None, _) => Err("no subject of this name has a key".to_owned()),
    })
}

fn write_changed(changed: &Changed, word: &str, out: &mut dyn Write) -> io::Result<()> {
    let id = changed.subject.as_ref().map(|id| format!(", id {id}")).unwrap_or_default();
    writeln!(out, "subject   {}{id}", printable(&changed.name))?;
    match (&changed.event, &changed.refused) {
        (_, Some(refused)) => writeln!(out, "refused   {}", printable(refused)),
        (event, None) => writeln!(out, "{word:<9} event {}", event.as_deref().unwrap_or("unknown")),
    }
}

fn write_list(held: &[Held], out: &mut dyn Write) -> io::Result<()> {
    for held in held {
        writeln!(out, "{} of tenant {}, id {}", printable(&held.name), printable(&held.tenant), held.subject)?;
        let since = time_of_seconds(held.since_unix_nano / 1_000_000_000);
        writeln!(out, "  since {since}, placed by {}: {}", printable(&held.placed_by), printable(&held.reason))?;
    }
    writeln!(out, "{} under a legal hold", held.len())
}
