//! `spanseal demo`: an agent acts, is sealed and explained; then somebody tampers, in four ways, and each is named.

pub(crate) mod agent;
mod scene;
mod tamper;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, ensure};
use spanseal_pipelines::check::Report;
use tokio_util::sync::CancellationToken;

use crate::{up, verify, why};
use agent::ACTOR;
use scene::Scene;

/// Show the whole of it in under a minute: an agent acts, is sealed, explained and verified, and tampering is caught.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  spanseal demo
  spanseal demo --folder /tmp/spanseal-demo      keeps everything there")]
pub(crate) struct Demo {
    /// Where it takes place; a new temporary folder by default. It stays afterwards.
    #[arg(long, value_name = "DIR")]
    folder: Option<PathBuf>,
}

/// Runs the demo; exit code 1 when anything is not as it should be.
///
/// # Errors
/// When a step cannot be done.
pub(crate) async fn run(demo: Demo) -> anyhow::Result<ExitCode> {
    let folder = match demo.folder {
        Some(folder) => folder,
        None => tempfile::Builder::new().prefix("spanseal-demo-").tempdir()?.keep(),
    };
    std::fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
    let scene = Scene::set(&folder)?;
    let data = folder.join("data");

    title("An agent acts. Its spans arrive over OTLP, are judged, and sealed before they are acknowledged.");
    let trace = act(&scene, "data").await?;
    println!("trace {trace} of {ACTOR}");

    title("spanseal why: who did what, for whom, with which approval, and where the ledger has it.");
    print!("{}", why::explain(&data, &trace)?);

    title("spanseal keys pin, then spanseal verify: nothing was changed, nothing left out.");
    crate::keys::pin(&scene.trust, &data, None)?;
    let report = verified(&data, &scene.trust)?;
    verify::write(&report, &mut std::io::stdout())?;
    ensure!(report.exit_code == 0, "the ledger should hold");

    title("Now somebody with write access tampers with copies of it, and mends lengths and checksums afterwards.");
    let caught = [
        caught(&scene, "one byte of an event is flipped", tamper::flip_a_byte)?,
        caught(&scene, "the tail is cut", tamper::cut_the_tail)?,
        caught(&scene, "one event is deleted", tamper::delete_an_event)?,
        replaced(&scene).await?,
    ];
    ensure!(caught.iter().all(|caught| *caught), "some tampering was not noticed");

    farewell(&scene, &trace);
    Ok(ExitCode::SUCCESS)
}

/// Runs a collector on the scene's `data` and the agent against it, until everything is sealed, indexed and closed.
async fn act(scene: &Scene, data: &str) -> anyhow::Result<String> {
    let stop = CancellationToken::new();
    let running = up::start(scene.config(data)?, stop.clone()).await?;
    let endpoint = format!("http://{}", running.addresses().otlp.first().context("an address")?);
    let agent = tokio::process::Command::new(std::env::current_exe()?)
        .args(["demo-agent", "--endpoint", &endpoint, "--audience", scene::DEPLOYMENT, "--key"])
        .arg(&scene.agent_key)
        .arg("--approvals")
        .arg(&scene.approvals)
        .arg("--approvers")
        .arg(&scene.approvers)
        .output()
        .await?;
    let said = String::from_utf8_lossy(&agent.stderr).into_owned();
    ensure!(agent.status.success(), "the agent failed: {said}");
    stop.cancel();
    running.stopped().await?;
    Ok(String::from_utf8(agent.stdout)?.trim().to_owned())
}

/// Tampers with a copy and says what `verify` makes of it.
fn caught(scene: &Scene, what: &str, tamper: fn(&Path) -> anyhow::Result<()>) -> anyhow::Result<bool> {
    let copy = scene.folder.join("tampered").join(what.replace(' ', "-"));
    tamper::copy(&scene.folder.join("data"), &copy)?;
    tamper(&copy)?;
    said(&copy, &scene.trust, what)
}

/// Puts a whole other ledger in place: the same name, the same agent, other keys. Only a pin kept elsewhere notices.
async fn replaced(scene: &Scene) -> anyhow::Result<bool> {
    act(scene, "other").await?;
    let copy = scene.folder.join("tampered").join("everything-is-replaced");
    tamper::copy(&scene.folder.join("data"), &copy)?;
    tamper::replace_everything(&copy, &scene.folder.join("other"))?;
    said(&copy, &scene.trust, "log, root log and keys are all replaced")
}

fn said(copy: &Path, trust: &Path, what: &str) -> anyhow::Result<bool> {
    let report = verified(copy, trust)?;
    let sentence = report.named.as_ref().map_or("nothing was noticed", |named| named.sentence.as_str());
    println!("{what}\n    exit {}  {sentence}", report.exit_code);
    Ok(report.exit_code == 1)
}

fn verified(data: &Path, trust: &Path) -> anyhow::Result<Report> {
    verify::check(data, Some(verify::read_trust(trust)?), DAY_SECONDS, None)
}

fn title(text: &str) {
    println!("\n=== {text}\n");
}

fn farewell(scene: &Scene, trace: &str) {
    let folder = scene.folder.display();
    println!(
        "\n=== Everything is in {folder}\n
    spanseal find --data {folder}/data --verdict violated
    spanseal why {trace} --data {folder}/data
    spanseal verify {folder}/data --trust {folder}/trust
    spanseal verify {folder}/tampered/one-event-is-deleted --trust {folder}/trust
    spanseal up --config {folder}/spanseal.toml --data {folder}/data     (goes on where the demo stopped)"
    );
}

const DAY_SECONDS: u64 = 86_400;
