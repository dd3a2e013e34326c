//! `spanseal erase`: destroys a subject's key, so that what was cut out of its spans can no longer be read.

use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use serde::Serialize;
use spanseal_collector::control::{ControlError, carry_out};
use spanseal_collector::seal::subjects::{Known, SubjectFile};
use spanseal_collector::seal::{Done, Order, Refused};
use spanseal_log::DataDir;
use spanseal_pipelines::subject::{Concerned, concerned};

use crate::subject::{Found, Whose, open};
use crate::text::{grouped, hex, printable, time_of_seconds};

/// Destroy a subject's key: values that were cut out of its spans can never be read again, and every proof stays valid.
///
/// Works while the server runs and when it is stopped. Only what `[cut]` keeps out of the ledger, or what was too long for
/// an event, can be erased; what is sealed in the clear stays. Values that backends were sent are theirs. What is sealed
/// for the same subject afterwards gets a new key under a new id.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  spanseal erase alice@acme.example --dry-run
  spanseal erase alice@acme.example --requested-by dpo@acme.example --legal-basis 'GDPR article 17, case 812'
  spanseal erase --trace 0af7651916cd43dd8448eb211c80319c --requested-by dpo --legal-basis 'case 812'

The ledger records the subject's random id, who requested it and why, for good: name nobody in --legal-basis whom
you may have to erase. Exit codes: 0 done, 1 refused (a legal hold, no such subject), 2 could not be done.")]
pub(crate) struct Erase {
    #[command(flatten)]
    whose: Whose,
    /// Who requests it; stands in the ledger.
    #[arg(long, value_name = "WHO", required_unless_present = "dry_run")]
    requested_by: Option<String>,
    /// Why; stands in the ledger.
    #[arg(long, value_name = "WHY", required_unless_present = "dry_run")]
    legal_basis: Option<String>,
    /// Say what would be destroyed, and destroy nothing.
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    data: crate::settings::DataDir,
    #[command(flatten)]
    output: crate::output::Output,
}

/// What is printed.
#[derive(Serialize)]
struct Answer {
    /// The subject's id.
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tenant: Option<String>,
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    concerned: Option<Concerned>,
    dry_run: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    erased: Option<Erased>,
    /// Why it is not erased.
    #[serde(skip_serializing_if = "Option::is_none")]
    refused: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    notes: Vec<String>,
}

#[derive(Serialize)]
struct Erased {
    event: String,
    unix_nano: u64,
    requested_by: String,
    legal_basis: String,
}

/// Erases and prints what became of it.
///
/// # Errors
/// When it could not be done.
pub(crate) async fn run(arguments: Erase) -> anyhow::Result<ExitCode> {
    let answer = answer(&arguments).await?;
    let code = ExitCode::from(u8::from(answer.refused.is_some()));
    arguments.output.print(&answer, write)?;
    Ok(code)
}

async fn answer(arguments: &Erase) -> anyhow::Result<Answer> {
    let data = &arguments.data.data;
    let mut answer = Answer {
        subject: None,
        tenant: None,
        name: arguments.whose.stored_name(),
        concerned: None,
        dry_run: arguments.dry_run,
        erased: None,
        refused: None,
        notes: Vec::new(),
    };
    let file = open(data)?;
    let known = match arguments.whose.find(&file)? {
        Found::One(known) => known,
        Found::None => {
            answer.refused = Some(Refused::NoSubject.to_string());
            answer.notes.push(NOT_NAMED.to_owned());
            return Ok(answer);
        }
        Found::Several(tenants) => {
            answer.refused = Some(format!("several tenants have it, say which by --tenant: {}", tenants.join(", ")));
            return Ok(answer);
        }
    };
    answer.name.clone_from(&known.name.subject);
    answer.tenant = Some(known.name.tenant.clone());
    answer.subject = Some(hex(&known.id));
    let mut looked = Looked::at(&file, &arguments.data.open(), &known)?;
    answer.refused = held(&known, &looked);
    answer.notes.extend(beside(&looked.concerned, &file)?);
    // A reader would keep a copy of the key in the write-ahead log.
    drop(file);
    let mut looks = 1;
    while answer.refused.is_none() && !arguments.dry_run && answer.erased.is_none() {
        if let Outcome::Changed = answer.carry_out(data, &known, looked.changes, arguments).await? {
            anyhow::ensure!(looks < LOOKS_MAX, "holds and erasures go on all the time: nothing was done, try again");
            looks += 1;
            let file = open(data)?;
            looked = looked.again(&file, &arguments.data.open(), &known)?;
            answer.refused = held(&known, &looked);
        }
    }
    answer.concerned = Some(looked.concerned);
    Ok(answer)
}

/// What was found to be in the way, or not, and as of which change.
struct Looked {
    changes: u64,
    holds: Vec<Known>,
    concerned: Concerned,
}

impl Looked {
    /// The number first: a change after it is one too many for whoever carries the order out.
    fn at(file: &SubjectFile, data: &DataDir, known: &Known) -> anyhow::Result<Self> {
        let (changes, holds) = (file.changes()?, file.held()?);
        Ok(Self { changes, holds, concerned: concerned(data, &known.id)? })
    }

    /// Looks again; for traces only when other holds are there than before, since that may take long.
    fn again(self, file: &SubjectFile, data: &DataDir, known: &Known) -> anyhow::Result<Self> {
        let (changes, holds) = (file.changes()?, file.held()?);
        if holds == self.holds { Ok(Self { changes, ..self }) } else { Self::at(file, data, known) }
    }
}

/// What became of an order.
enum Outcome {
    Answered,
    /// A hold may have come.
    Changed,
}

impl Answer {
    async fn carry_out(
        &mut self,
        data: &Path,
        known: &Known,
        changes_seen: u64,
        arguments: &Erase,
    ) -> anyhow::Result<Outcome> {
        let requested_by = arguments.requested_by.clone().unwrap_or_default();
        let legal_basis = arguments.legal_basis.clone().unwrap_or_default();
        let id = hex(&known.id);
        let order =
            Order::Erase { id, requested_by: requested_by.clone(), legal_basis: legal_basis.clone(), changes_seen };
        match carry_out(data, order).await {
            Ok(Done { event, unix_nano, .. }) => {
                self.erased = Some(Erased { event, unix_nano, requested_by, legal_basis });
                Ok(Outcome::Answered)
            }
            Err(ControlError::Refused(Refused::Changed)) => Ok(Outcome::Changed),
            Err(ControlError::Refused(refused)) if refused.is_final() => {
                self.refused = Some(refused.to_string());
                Ok(Outcome::Answered)
            }
            Err(error) => Err(error.into()),
        }
    }
}

/// Returns why a hold is in the way: one on the subject, on a trace of the values, or, where the key is a trace's own, on
/// somebody whose values are in that trace.
fn held(known: &Known, looked: &Looked) -> Option<String> {
    let Looked { holds, concerned, .. } = looked;
    if let Some(hold) = holds.iter().find(|held| held.id == known.id).and_then(|held| held.hold.clone()) {
        return Some(Refused::Held(hold).to_string());
    }
    let is_shared = !known.name.subject.starts_with("attribute:");
    let other = holds.iter().find(|held| {
        let trace = held.name.subject.strip_prefix("trace:");
        trace.is_some_and(|trace| concerned.traces.contains(trace))
            || is_shared && concerned.beside.contains(&hex(&held.id))
    });
    let because = |held: &Known| {
        let (name, hold) = (&held.name.subject, held.hold.clone().map(|hold| Refused::Held(hold).to_string()));
        format!("{name} has values in the same trace, and {}", hold.unwrap_or_default())
    };
    other.map(because)
}

/// Says which traces hold more values than the subject's own.
fn beside(concerned: &Concerned, file: &SubjectFile) -> anyhow::Result<Option<String>> {
    let mut traces = Vec::new();
    for id in &concerned.beside {
        let known = crate::find::hex(id).map_or(Ok(None), |id| file.known(&id))?;
        traces.extend(known.and_then(|known| known.name.subject.strip_prefix("trace:").map(str::to_owned)));
    }
    if traces.is_empty() {
        return Ok(None);
    }
    let (count, more) = (traces.len(), if traces.len() > TRACES_SHOWN { ", ..." } else { "" });
    traces.truncate(TRACES_SHOWN);
    Ok(Some(format!(
        "spans of {count} of these traces do not name the subject, and their values are under the key of the trace; \
         `spanseal erase --trace` erases them: {}{more}",
        traces.join(", ")
    )))
}

fn write(answer: &Answer, out: &mut dyn Write) -> io::Result<()> {
    let id = answer.subject.as_ref().map(|id| format!(", id {id}")).unwrap_or_default();
    let tenant = answer.tenant.as_ref().map(|tenant| format!(" of tenant {}", printable(tenant))).unwrap_or_default();
    writeln!(out, "subject   {}{tenant}{id}", printable(&answer.name))?;
    if let Some(concerned) = &answer.concerned {
        writeln!(
            out,
            "concerns  {} events in {} traces: {} payload records, {} bytes (of {} events)",
            grouped(concerned.events),
            grouped(concerned.traces.len() as u64),
            grouped(concerned.payload_records),
            grouped(concerned.payload_bytes),
            grouped(concerned.searched),
        )?;
    }
    match (&answer.erased, &answer.refused) {
        (Some(erased), _) => {
            let when = time_of_seconds(erased.unix_nano / 1_000_000_000);
            let (who, why) = (printable(&erased.requested_by), printable(&erased.legal_basis));
            writeln!(out, "erased    {when} at the request of {who} ({why})")?;
            writeln!(out, "event     {}", erased.event)?;
        }
        (None, Some(refused)) => writeln!(out, "refused   {}", printable(refused))?,
        (None, None) => writeln!(out, "dry run   nothing was destroyed")?,
    }
    answer.notes.iter().try_for_each(|note| writeln!(out, "note      {}", printable(note)))
}

/// Each took another change while it looked.
const LOOKS_MAX: u32 = 1000;
const NOT_NAMED: &str = "values of spans that do not carry the attribute that `[cut] subject` names are under the key of \
                         their trace: find the traces, for example by `spanseal find --user NAME`, and erase by --trace";
const TRACES_SHOWN: usize = 20;
