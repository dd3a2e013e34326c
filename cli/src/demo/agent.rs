//! The demo's agent: what a team would write. Ordinary `tracing` spans with `gen_ai.*` fields, and three actions that need
//! a decision. It is a process of its own and reaches the collector over OTLP like any other agent.

use std::path::PathBuf;

use anyhow::Context as _;
use tracing::{Instrument as _, info_span};

/// Run the demo's agent.
#[derive(Debug, clap::Args)]
pub(crate) struct Agent {
    /// The collector.
    #[arg(long)]
    endpoint: String,
    /// The deployment's name: for whom claims are signed.
    #[arg(long)]
    audience: String,
    /// The agent's signing key.
    #[arg(long)]
    key: PathBuf,
    /// Its approvals.
    #[arg(long)]
    approvals: PathBuf,
    /// Whose approvals count.
    #[arg(long)]
    approvers: PathBuf,
}

/// Runs the agent and prints the id of its trace.
///
/// # Errors
/// When a file cannot be read, or the spans were not all delivered.
pub(crate) async fn run(agent: Agent) -> anyhow::Result<std::process::ExitCode> {
    let guard = spanseal::init()
        .service(SERVICE)
        .endpoint(&agent.endpoint)
        .audience(&agent.audience)
        .key(spanseal::Key::file(&agent.key)?)
        .actor(spanseal::Actor::agent(ACTOR).owner(OWNER).on_behalf_of(INITIATOR))
        .approvers(spanseal::Approvers::file(&agent.approvers)?)
        .observe() // records what should not have run, so that there is something to see
        .install()?;
    let approvals = spanseal::Approvals::file(&agent.approvals)?;
    let run = info_span!(
        "invoke_agent deploy-agent",
        gen_ai.operation.name = "invoke_agent",
        gen_ai.agent.name = "deploy-agent",
        gen_ai.conversation.id = "conv-20261123-17",
        user.id = INITIATOR,
    );
    let trace = work(&approvals).instrument(run).await?;
    let report = guard.shutdown().await;
    anyhow::ensure!(report.lost == 0, "{} of {} spans were lost", report.lost, report.lost + report.exported);
    println!("{trace}");
    Ok(std::process::ExitCode::SUCCESS)
}

/// One model call and three actions: one under its approval, one without any, one under the approval of another.
async fn work(approvals: &spanseal::Approvals) -> anyhow::Result<String> {
    use opentelemetry::trace::TraceContextExt as _;
    let trace = opentelemetry::Context::current().span().span_context().trace_id().to_string();
    let chat = info_span!(
        "chat gpt-5-mini",
        gen_ai.operation.name = "chat",
        gen_ai.request.model = "gpt-5-mini",
        gen_ai.usage.input_tokens = 1_204_i64,
        gen_ai.usage.output_tokens = 88_i64,
    );
    async {}.instrument(chat).await;

    let approval = approvals.for_action(&rotate()).context("the approvals file has none for secret.rotate")?;
    rotate().approved_by(approval).run(effect()).await?;
    spanseal::action("network.open").target("firewall:prod/web-7").tool("open_port").run(effect()).await?;
    let export = spanseal::action("data.export").target("postgres:prod/customers").tool("export_table");
    export.approved_by(approval).run(effect()).await?;
    Ok(trace)
}

/// The action that has an approval.
pub(crate) fn rotate() -> spanseal::Action {
    spanseal::action("secret.rotate").target("vault:prod/billing-db").tool("rotate_secret").ticket(TICKET)
}

/// Stands for what the tool does.
async fn effect() -> anyhow::Result<()> {
    Ok(())
}

pub(crate) const SERVICE: &str = "deploy-agent";
pub(crate) const ACTOR: &str = "spiffe://acme.example/agent/deployer";
pub(crate) const OWNER: &str = "platform-team@acme.example";
pub(crate) const INITIATOR: &str = "alice@acme.example";
pub(crate) const APPROVER: &str = "bob@acme.example";
pub(crate) const TICKET: &str = "CHG-4711";
