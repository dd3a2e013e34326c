//! The engine put together from a configuration, and run on its two threads.

use std::sync::Arc;
use std::sync::mpsc::{self, sync_channel};

use anyhow::Context;
use bytes::Bytes;
use spanseal_authority::Authority;
use spanseal_ledger::Deployment;
use spanseal_log::{Options, Storage};
use tokio::sync::{oneshot, watch};

use super::checkpoints::{Checkpoints, Intervals};
use super::conflicts::ConflictSettings;
use super::cutting::Cutting;
use super::durable::Durable;
use super::fingerprint::Fingerprints;
use super::full::bytes_to_start;
use super::gate::Gate;
use super::ground::Ground;
use super::intake::Door;
use super::keys::Keys;
use super::measures::Measures;
use super::moment::Clocks;
use super::orders::Orders;
use super::scanner::Scanner;
use super::start::{Equipment, StartError, Started, start};
use super::stream::STAGE;
use super::subjects::SubjectFile;
use super::thread::StreamThread;
use super::window::WindowLimits;
use crate::config::{self, Config};
use crate::intake::Intake;
use crate::serve::{Health, Metrics};

/// A stream that is ready: its way in, what of it is durable, and what must be run for it to go on.
pub struct Sealing {
    /// When the last clone is dropped, the engine ends the epoch and stops.
    pub intake: Intake,
    pub durable: watch::Receiver<Durable>,
    pub deployment: Deployment,
    /// The way in for what is done with subjects. It does not keep the engine going.
    pub orders: Orders,
    pub engine: Engine,
}

/// The stream's thread and its checkpoints' thread, before they start.
pub struct Engine {
    thread: StreamThread,
    checkpoints: Checkpoints,
    clocks: Clocks,
    health: Health,
}

/// Opens the data directory and gets its stream ready. Blocks for as long as reading back the stream's tail takes.
///
/// # Errors
/// When the data directory cannot be used; the message names the remedy.
pub fn open(
    config: &Config,
    storage: Arc<dyn Storage>,
    metrics: Arc<Metrics>,
    health: Health,
) -> Result<Sealing, StartError> {
    let clocks = Clocks::start();
    let now = clocks.now();
    let ground = Ground::take(storage, &config.data_dir, config.name.as_deref(), &now)?;
    let subjects = Box::new(SubjectFile::open(&ground.dir.subjects())?);
    let queue_bytes_max = config.seal.queue_bytes_max.get() as u64;
    let gate = Arc::new(Gate::new(queue_bytes_max, metrics.seal.queue_requests.clone()));
    let keys = ground.keys.clone();
    let scanner = scanner(config, &keys)?;
    let equipment = Equipment {
        subjects,
        limits: WindowLimits { entries_max: config.seal.window_entries_max, time: config.seal.window },
        conflicts: ConflictSettings {
            enrichment: config.seal.enrichment.clone(),
            per_second_max: config.seal.conflicts_per_second_max,
            finding: config.seal.conflicts_finding,
        },
        sizes: sizes(&config.seal),
        epoch_max: config.seal.epoch,
        intervals: Intervals {
            note: config.seal.checkpoint,
            leaf_changed: config.seal.root_changed,
            leaf_idle: config.seal.root_idle,
        },
        gate: gate.clone(),
        measures: Arc::new(Measures::new(metrics)),
        health: health.clone(),
    };
    let Started { stream, checkpoints } = start(ground, equipment, &now)?;
    let durable = checkpoints.durable.clone();
    let (way_in, parcels) = sync_channel(config.seal.queue_requests_max.get());
    let (orders_in, orders) = sync_channel(ORDERS_MAX);
    let group_bytes_max = config.seal.group_bytes_max.get();
    let thread = StreamThread { stream, parcels, orders, clocks, group_bytes_max };
    Ok(Sealing {
        intake: Intake::new(Arc::new(Door { scanner, parcels: way_in, gate })),
        durable,
        deployment: keys.deployment.clone(),
        orders: Orders(orders_in),
        engine: Engine { thread, checkpoints, clocks, health },
    })
}

/// Returns the bytes that must be free for [`open`] to open an epoch.
pub fn free_bytes_to_start(config: &Config) -> u64 {
    bytes_to_start(&sizes(&config.seal))
}

/// Seals until every way in is gone, then ends the epoch and signs what is left behind.
///
/// # Errors
/// When the stream cannot go on: nothing that is not durable was acknowledged, and the next start takes over.
pub async fn run(engine: Engine) -> anyhow::Result<()> {
    let Engine { thread, checkpoints, clocks, health } = engine;
    let (stop, stopped) = mpsc::channel();
    let mut signing = on_thread("checkpoints", move || checkpoints.run(&clocks, &stopped))?;
    let mut sealing = on_thread("stream", move || thread.run())?;
    let ended = tokio::select! {
        ended = &mut sealing => {
            drop(stop);
            let signed = flatten(signing.await);
            flatten(ended).and(signed)
        }
        // It goes on until it is told to stop, so it has failed. The stream ends when nothing more comes in.
        failed = &mut signing => flatten(failed),
    };
    if let Err(error) = &ended {
        health.unready(STAGE, format!("{error:#}"));
    }
    ended
}

fn flatten(ended: Result<anyhow::Result<()>, oneshot::error::RecvError>) -> anyhow::Result<()> {
    ended.context("a thread of the sealing engine has panicked")?
}

/// Runs a closure on a thread of its own; the receiver gets what it returns.
fn on_thread<E: std::error::Error + Send + Sync + 'static>(
    name: &str,
    run: impl FnOnce() -> Result<(), E> + Send + 'static,
) -> anyhow::Result<oneshot::Receiver<anyhow::Result<()>>> {
    let (done, ended) = oneshot::channel();
    std::thread::Builder::new().name(name.to_owned()).spawn(move || {
        // Whoever waits may have gone away.
        let _ = done.send(run().map_err(anyhow::Error::from));
    })?;
    Ok(ended)
}

fn scanner(config: &Config, keys: &Keys) -> Result<Scanner, StartError> {
    let authority = Authority::new(&config.authority, keys.deployment.as_str())?;
    let configuration = toml::to_string(authority.config())?;
    if configuration.len() > CONFIGURATION_BYTES_MAX {
        return Err(StartError::ConfigurationTooLong { bytes: configuration.len(), max: CONFIGURATION_BYTES_MAX });
    }
    Ok(Scanner {
        fingerprints: Fingerprints::new(&keys.dedup),
        cutting: Cutting::new(config.cut.keep_out.iter().cloned(), config.cut.subject.clone()),
        authority: Arc::new(authority),
        configuration: Bytes::from(configuration),
    })
}

fn sizes(seal: &config::Seal) -> Options {
    Options { segment_bytes_max: seal.segment_bytes_max.get(), group_bytes_max: seal.group_bytes_max.get() as u64 }
}

/// Orders that may wait.
const ORDERS_MAX: usize = 16;
/// It is sealed as one event.
const CONFIGURATION_BYTES_MAX: usize = 48 * 1024;
