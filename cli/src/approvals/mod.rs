//! `spanseal approvals`: what agents ask leave for, and the answers of a person.

mod place;
mod shown;

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, bail};
use serde::Serialize;
use spanseal_authority::Authority;
use spanseal_authority::asking::{Answered, Asked, AskedAction, AskedParty};
use spanseal_authority::config::{Approver, Config};
use spanseal_authority::key::SigningKey;
use spanseal_log::{Disk, load_key, load_or_create_key};

use crate::output::Output;
use crate::text::printable;
use place::Place;
use shown::{Line, line, show};

/// List what agents ask leave for, look at it, approve or deny it.
///
/// An approver's key stays where it is: approvals are signed here, and what is answered is what was looked at.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  spanseal approvals key bob.key --name bob@acme.example      once; prints what goes into the configuration
  spanseal approvals list
  spanseal approvals show 5f0d1c3a5f0d1c3a5f0d1c3a5f0d1c3a
  spanseal approvals approve 5f0d1c3a5f0d1c3a5f0d1c3a5f0d1c3a --key bob.key --name bob@acme.example
  spanseal approvals deny 5f0d1c3a5f0d1c3a5f0d1c3a5f0d1c3a --name bob@acme.example --because 'not on a Friday'")]
pub(crate) struct Approvals {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    Key(Key),
    List(List),
    Show(Show),
    Approve(Approve),
    Deny(Deny),
    Request(Box<Request>),
    Verify(Verify),
}

/// Make an approver's key, or read one, and print what the collector's configuration needs of it.
#[derive(Debug, clap::Args)]
struct Key {
    /// The key's file; only its owner may read it.
    file: PathBuf,
    /// The approver's name, as initiators are named.
    #[arg(long, value_name = "WHO")]
    name: String,
}

/// List what waits for an answer.
#[derive(Debug, clap::Args)]
struct List {
    /// Also what was answered, or whose deadline went by.
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    output: Output,
}

/// Show one request: what, by whom, for whom, why, and the digest that an approval is for.
#[derive(Debug, clap::Args)]
struct Show {
    /// The request's id.
    #[arg(value_name = "REQUEST")]
    id: String,
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    output: Output,
}

/// Approve a request.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  spanseal approvals approve 5f0d1c3a5f0d1c3a5f0d1c3a5f0d1c3a --key bob.key --name bob@acme.example --minutes 30
  spanseal approvals approve ID --key bob.key --name bob --url http://127.0.0.1:4317/v1/provenance/approvals

Exit codes: 0 approved, 2 not.")]
struct Approve {
    /// The request's id.
    #[arg(value_name = "REQUEST")]
    id: String,
    /// The approver's key.
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// The approver's name, as the collector's configuration has it.
    #[arg(long, value_name = "WHO")]
    name: String,
    /// For so long the action may start.
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=525_600))]
    minutes: u64,
    /// Why; stands in the approval.
    #[arg(long, value_name = "WHY")]
    because: Option<String>,
    #[command(flatten)]
    place: Place,
}

/// Deny a request.
#[derive(Debug, clap::Args)]
struct Deny {
    /// The request's id.
    #[arg(value_name = "REQUEST")]
    id: String,
    /// Who denies it.
    #[arg(long, value_name = "WHO")]
    name: String,
    /// Why; the agent is told.
    #[arg(long, value_name = "WHY")]
    because: String,
    #[command(flatten)]
    place: Place,
}

/// Ask for an approval ahead of the action, for an action without arguments.
#[derive(Debug, clap::Args)]
struct Request {
    /// What is to be done, for example `secret.rotate`.
    #[arg(long = "type", value_name = "TYPE")]
    kind: String,
    /// To what.
    #[arg(long)]
    target: Option<String>,
    /// With which tool.
    #[arg(long)]
    tool: Option<String>,
    /// Who would do it.
    #[arg(long, value_name = "ID")]
    actor: String,
    /// The actor's public key.
    #[arg(long, value_name = "ed25519:BASE64")]
    actor_key: String,
    /// For which deployment.
    #[arg(long)]
    audience: String,
    /// The ticket that it belongs to.
    #[arg(long)]
    ticket: Option<String>,
    /// Why.
    #[arg(long, value_name = "WHY")]
    because: Option<String>,
    #[command(flatten)]
    place: Place,
}

/// Check an approval: that it answers the request, and that this approver signed it.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  spanseal approvals verify 5f0d1c3a5f0d1c3a5f0d1c3a5f0d1c3a --name bob@acme.example --key ed25519:gTl3...

Exit codes: 0 it holds, 1 it does not, 2 there is none or it cannot be read.")]
struct Verify {
    /// The request's id.
    #[arg(value_name = "REQUEST")]
    id: String,
    /// The approver's name.
    #[arg(long, value_name = "WHO")]
    name: String,
    /// The approver's public key.
    #[arg(long, value_name = "ed25519:BASE64")]
    key: String,
    #[command(flatten)]
    place: Place,
}

/// Does what was asked for.
///
/// # Errors
/// A request that is not there, a key that cannot be read, an answer that cannot be given.
pub(crate) async fn run(approvals: Approvals) -> anyhow::Result<ExitCode> {
    match approvals.what {
        What::Key(key) => make_key(&key),
        What::List(list) => list.run(),
        What::Show(show) => show.run().await,
        What::Approve(approve) => approve.run().await,
        What::Deny(deny) => deny.run().await,
        What::Request(request) => request.run(),
        What::Verify(verify) => verify.run().await,
    }
}

fn make_key(key: &Key) -> anyhow::Result<ExitCode> {
    let seed = load_or_create_key(&Disk, &key.file).with_context(|| key.file.display().to_string())?;
    let public = SigningKey::from_seed(&seed).public().to_string();
    let mut out = io::stdout().lock();
    let name = toml::Value::from(key.name.as_str());
    writeln!(out, "[[authority.approver]]\nname = {name}\nkey = \"{public}\"")?;
    Ok(ExitCode::SUCCESS)
}

#[derive(Serialize)]
struct Listed {
    requests: Vec<Line>,
}

impl List {
    fn run(self) -> anyhow::Result<ExitCode> {
        let folder = self.place.folder()?;
        let mut requests = Vec::new();
        for asked in folder.requests()? {
            let answered = folder.answered(&asked.id)?;
            let waits = answered.is_none() && asked.deadline >= now_seconds();
            if waits || self.all {
                requests.push(line(&asked, answered.as_ref(), now_seconds()));
            }
        }
        self.output.print(&Listed { requests }, |listed, out| {
            if listed.requests.is_empty() {
                return writeln!(out, "nothing waits for an answer");
            }
            listed.requests.iter().try_for_each(|line| writeln!(out, "{line}"))
        })?;
        Ok(ExitCode::SUCCESS)
    }
}

impl Show {
    async fn run(self) -> anyhow::Result<ExitCode> {
        let asked = self.place.request(&self.id).await?;
        asked.action().context("the request is not what it must be, and is not to be approved")?;
        self.output.print(&asked, |asked, out| out.write_all(show(asked).as_bytes()))?;
        Ok(ExitCode::SUCCESS)
    }
}

impl Approve {
    async fn run(self) -> anyhow::Result<ExitCode> {
        let asked = self.place.request(&self.id).await?;
        let seed = load_key(&Disk, &self.key).with_context(|| self.key.display().to_string())?;
        let key = SigningKey::from_seed(&seed);
        let self_made = [Some(&asked.actor), asked.initiator.as_ref()].into_iter().flatten();
        if self_made.into_iter().any(|party| party.id == self.name) {
            bail!("{} asks for it or does it, and nobody approves his own: have somebody else do it", self.name);
        }
        let id = format!("apr-{}", random_hex::<8>()?);
        let now = now_seconds();
        let mut approval = asked.approval(&self.name, id, (now.saturating_sub(60), now + self.minutes * 60))?;
        approval.justification = self.because;
        self.place.answer(&asked, &asked.approved(approval.sign(&key))).await?;
        println!("approved {} of {} as {}", approval.id, printable(&asked.action.kind), printable(&self.name));
        Ok(ExitCode::SUCCESS)
    }
}

impl Deny {
    async fn run(self) -> anyhow::Result<ExitCode> {
        let folder = self.place.folder()?; // a denial is not signed, so that it is only taken where files are
        folder.answer(&self.id, &Answered::Denied { by: self.name, reason: self.because })?;
        println!("denied");
        Ok(ExitCode::SUCCESS)
    }
}

impl Request {
    fn run(self) -> anyhow::Result<ExitCode> {
        let (salt, arguments_salt) = (random_hex::<16>()?, random_hex::<16>()?);
        let mut asked = Asked {
            id: random_hex::<16>()?,
            action: AskedAction {
                kind: self.kind,
                target: self.target,
                tool: self.tool,
                arguments: None,
                salt,
                digest: String::new(),
            },
            arguments_salt,
            revealed: None,
            actor: AskedParty { id: self.actor, kind: "agent".to_owned() },
            actor_key: self.actor_key,
            audience: self.audience,
            initiator: None,
            owner: None,
            business: self.ticket.map(|ticket| ("ticket".to_owned(), ticket)).into_iter().collect(),
            reason: self.because,
            asked: now_seconds(),
            deadline: now_seconds() + 86_400,
        };
        asked.action.digest = asked.action_without_digest()?.digest().to_string();
        self.place.folder()?.ask(&asked, now_seconds())?;
        println!("{}", asked.id);
        Ok(ExitCode::SUCCESS)
    }
}

impl Verify {
    async fn run(self) -> anyhow::Result<ExitCode> {
        let asked = self.place.request(&self.id).await?;
        let answered = self.place.answered(&self.id).await?;
        let Answered::Approved { approval, .. } = answered else {
            bail!("request {} is not approved: {}", self.id, shown::state(&answered));
        };
        let approver = Approver { name: self.name, key: self.key };
        let config = Config { approver: vec![approver], audience: Some(asked.audience.clone()), ..Config::default() };
        match Authority::new(&config, "")?.answers(&asked, &approval) {
            Ok(approval) => {
                println!("holds: {} by {}", printable(&approval.id), printable(&approval.approver));
                Ok(ExitCode::SUCCESS)
            }
            Err(error) => {
                println!("does not hold: {error}");
                Ok(ExitCode::from(1))
            }
        }
    }
}

fn random_hex<const N: usize>() -> anyhow::Result<String> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).context("no random bytes from the operating system")?;
    Ok(crate::text::hex(&bytes))
}

fn now_seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
