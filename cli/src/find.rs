//! `spanseal find`: searches the index.

use std::io::{self, Write};
use std::process::ExitCode;

use spanseal_ledger::EventId;
use spanseal_pipelines::facet::Facet;
use spanseal_pipelines::find::{Found, Order, Query, Row, find};
use spanseal_schemas::event::Verdict;

use crate::settings::DataDir;
use crate::text::{grouped, instant, printable};

/// Find events: by ids, by who did what for whom, by verdict and time, by any attribute.
///
/// Everything that is given must hold. Nothing found is an answer: exit code 0.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  spanseal find --tool rotate_secret --verdict violated
  spanseal find --actor spiffe://acme.example/agent/deployer --since 24h
  spanseal find --attribute gen_ai.request.model=gpt-5-mini --limit 5 --json")]
pub(crate) struct Find {
    #[command(flatten)]
    data: DataDir,
    /// Trace id, 32 hex digits.
    #[arg(long, value_parser = hex::<16>)]
    trace: Option<[u8; 16]>,
    /// Span id, 16 hex digits.
    #[arg(long, value_parser = hex::<8>)]
    span: Option<[u8; 8]>,
    /// Event id, `<stream hex>-<index>`.
    #[arg(long)]
    event: Option<EventId>,
    /// Subject id, as `spanseal why` shows it: events with values under its key, and its erasure.
    #[arg(long, value_name = "HEX", value_parser = hex::<16>)]
    subject: Option<[u8; 16]>,
    #[command(flatten)]
    facets: Facets,
    /// Any attribute of the span or its resource; may be given several times.
    #[arg(long, value_name = "KEY=VALUE", value_parser = pair)]
    attribute: Vec<(String, String)>,
    /// Span name.
    #[arg(long)]
    name: Option<String>,
    /// service.name
    #[arg(long)]
    service: Option<String>,
    /// proven, unproven, violated, pending or no_action
    #[arg(long, value_parser = verdict)]
    verdict: Option<Verdict>,
    /// Started at or after: RFC 3339, or a length of time ago (24h).
    #[arg(long, value_name = "TIME", value_parser = instant)]
    since: Option<u64>,
    /// Started before.
    #[arg(long, value_name = "TIME", value_parser = instant)]
    until: Option<u64>,
    /// Oldest first.
    #[arg(long)]
    oldest: bool,
    /// Rows at most.
    #[arg(long, default_value_t = 20)]
    limit: usize,
    /// Go on after the page before: its `next`.
    #[arg(long, value_name = "NEXT")]
    after: Option<i64>,
    #[command(flatten)]
    output: crate::output::Output,
}

/// Who did what for whom.
#[derive(Debug, clap::Args)]
struct Facets {
    /// Agent, by id or name.
    #[arg(long)]
    agent: Option<String>,
    /// Who acted.
    #[arg(long)]
    actor: Option<String>,
    /// For whom.
    #[arg(long)]
    user: Option<String>,
    /// Who answers for the actor.
    #[arg(long)]
    owner: Option<String>,
    #[arg(long)]
    tool: Option<String>,
    /// What was acted upon.
    #[arg(long)]
    target: Option<String>,
    #[arg(long)]
    credential: Option<String>,
    #[arg(long)]
    approver: Option<String>,
    /// Approval, by its id.
    #[arg(long)]
    approval: Option<String>,
    /// Ticket or change.
    #[arg(long)]
    ticket: Option<String>,
    #[arg(long)]
    policy: Option<String>,
    #[arg(long)]
    conversation: Option<String>,
}

impl Facets {
    fn given(self) -> Vec<(Facet, String)> {
        let all = [
            (Facet::Agent, self.agent),
            (Facet::Actor, self.actor),
            (Facet::User, self.user),
            (Facet::Owner, self.owner),
            (Facet::Tool, self.tool),
            (Facet::Target, self.target),
            (Facet::Credential, self.credential),
            (Facet::Approver, self.approver),
            (Facet::Approval, self.approval),
            (Facet::Ticket, self.ticket),
            (Facet::Policy, self.policy),
            (Facet::Conversation, self.conversation),
        ];
        all.into_iter().filter_map(|(facet, value)| Some((facet, value?))).collect()
    }
}

/// Searches and prints the rows.
///
/// # Errors
/// When there is no index, or it cannot be read.
pub(crate) fn run(arguments: Find) -> anyhow::Result<ExitCode> {
    let query = Query {
        trace: arguments.trace,
        span: arguments.span,
        event: arguments.event,
        subject: arguments.subject,
        facets: arguments.facets.given(),
        attributes: arguments.attribute,
        name: arguments.name,
        service: arguments.service,
        verdict: arguments.verdict,
        kind: None,
        since: arguments.since,
        until: arguments.until,
        order: if arguments.oldest { Order::OldestFirst } else { Order::NewestFirst },
        limit: arguments.limit,
        after: arguments.after,
    };
    let found = find(&arguments.data.open(), &query)?;
    arguments.output.print(&found, write)?;
    Ok(ExitCode::SUCCESS)
}

fn write(found: &Found, out: &mut dyn Write) -> io::Result<()> {
    found.rows.iter().try_for_each(|row| write_row(row, out))?;
    let rows = found.rows.len();
    let progress = &found.progress;
    write!(out, "{rows} found; indexed to {} of {} events", grouped(progress.indexed), grouped(progress.size))?;
    match found.next {
        Some(next) => writeln!(out, "; more with --after {next}"),
        None => writeln!(out),
    }
}

/// Two lines a row: what happened, and who did it where.
fn write_row(row: &Row, out: &mut dyn Write) -> io::Result<()> {
    let name = printable(row.name.as_deref().unwrap_or(&row.kind));
    writeln!(out, "{:<10} {name}", row.verdict.unwrap_or(&row.kind))?;
    let facets = row.facets.iter().map(|(facet, value)| format!("{} {}", facet.name(), printable(value)));
    let trace = row.trace.iter().map(|trace| format!("trace {trace}"));
    let about: Vec<_> = facets.chain(trace).chain([format!("event {}", row.event)]).collect();
    writeln!(out, "           {}", about.join("  "))
}

/// Reads an id.
///
/// # Errors
/// When it is not so many hex digits.
pub(crate) fn hex<const N: usize>(text: &str) -> Result<[u8; N], String> {
    let wrong = || format!("{text:?} is not {} hex digits", 2 * N);
    if text.len() != 2 * N || !text.is_ascii() {
        return Err(wrong());
    }
    let mut id = [0; N];
    for (n, byte) in id.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[2 * n..2 * n + 2], 16).map_err(|_| wrong())?;
    }
    Ok(id)
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or_else(|| format!("{text:?} has no '='; write KEY=VALUE"))?;
    Ok((key.to_owned(), value.to_owned()))
}

fn verdict(text: &str) -> Result<Verdict, String> {
    match text {
        "proven" => Ok(Verdict::Proven),
        "unproven" => Ok(Verdict::Unproven),
        "violated" => Ok(Verdict::Violated),
        "pending" => Ok(Verdict::Pending),
        "no_action" => Ok(Verdict::NoAction),
        _ => Err(format!("{text:?} is no verdict; there are proven, unproven, violated, pending and no_action")),
    }
}
