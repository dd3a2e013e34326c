//! The engine put together from a configuration, and run on its threads.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::mpsc::{self, sync_channel};

use anyhow::Context;
use bytes::Bytes;
use spanseal_authority::Authority;
use spanseal_ledger::Deployment;
use spanseal_log::{Options, Storage};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::checkpoints::{Checkpoints, Intervals};
use super::conflicts::ConflictSettings;
use super::cutting::Cutting;
use super::durable::Durable;
use super::fingerprint::Fingerprints;
use super::full::bytes_to_start;
use super::gate::Gate;
use super::ground::Ground;
use super::intake::{Door, Way};
use super::keys::Keys;
use super::lines::streams_of;
use super::moment::Clocks;
use super::orders::Orders;
use super::scanner::Scanner;
use super::start::{Equipment, StartError, Started, start};
use super::stream::STAGE;
use super::subjects::{SharedSubjects, SubjectFile};
use super::thread::StreamThread;
use super::window::WindowLimits;
use crate::config::{self, Config};
use crate::intake::Intake;
use spanseal_authority::config::{Approver, Enroller};

use crate::agents::{Agents, DEV_APPROVER, Dev, Folder};
use crate::serve::{Health, Metrics};

/// Streams that are ready: their way in, what of them is durable, and what must be run for them to go on.
pub struct Sealing {
    /// When the last clone is dropped, the engine ends the epochs and stops.
    pub intake: Intake,
    /// Of each stream; all of them at least one.
    pub durable: Vec<watch::Receiver<Durable>>,
    pub deployment: Deployment,
    /// The way in for what is done with subjects. It does not keep the engine going.
    pub orders: Orders,
    /// What agents may ask.
    pub(crate) agents: Agents,
    pub engine: Engine,
}

/// The streams' threads and their checkpoints' thread, before they start.
pub struct Engine {
    threads: Vec<StreamThread>,
    checkpoints: Checkpoints,
    clocks: Clocks,
    health: Health,
}

/// Opens the data directory and gets its streams ready. Blocks for as long as reading back the streams' tails takes.
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
    let ground = Ground::take(storage, &config.data_dir, (config.name.as_deref(), config.dev), &now)?;
    let subjects = SharedSubjects::new(Box::new(SubjectFile::open(&ground.dir.subjects())?));
    let gate = Arc::new(Gate::new(config.seal.queue_bytes_max.get() as u64, metrics.seal.queue_requests.clone()));
    let keys = ground.keys.clone();
    let streams = config.seal.streams.unwrap_or_else(|| streams_of(&ground.state));
    let scanner = scanner(config, &keys, streams)?;
    let agents = Agents {
        name: keys.deployment.as_str().to_owned(),
        authority: Arc::clone(&scanner.authority),
        enrolment: keys.enrolment.clone(),
        folder: Folder::at(ground.dir.approvals()),
        dev: keys.dev_approver.clone().map(|approver| Dev { approver }),
    };
    let equipment = equipment(&config.seal, streams, subjects, metrics, health.clone());
    let Started { streams, checkpoints } = start(ground, equipment, &now)?;
    let durable = checkpoints.streams.iter().map(|stream| stream.durable.clone()).collect();
    let (orders_in, orders) = sync_channel(ORDERS_MAX);
    let (mut threads, mut ways, mut orders) = (Vec::new(), Vec::new(), Some(orders));
    for stream in streams {
        let (parcels_in, parcels) = sync_channel(config.seal.queue_requests_max.get());
        ways.push(Way { parcels: parcels_in, refused: Arc::clone(&stream.refused) });
        let group_bytes_max = config.seal.group_bytes_max.get();
        threads.push(StreamThread { stream, parcels, orders: orders.take(), clocks, group_bytes_max });
    }
    Ok(Sealing {
        intake: Intake::new(Arc::new(Door { scanner, ways, gate })),
        durable,
        deployment: keys.deployment.clone(),
        orders: Orders(orders_in),
        agents,
        engine: Engine { threads, checkpoints, clocks, health },
    })
}

fn equipment(
    seal: &config::Seal,
    streams: NonZeroUsize,
    subjects: SharedSubjects,
    metrics: Arc<Metrics>,
    health: Health,
) -> Equipment {
    // Together they remember as much as one would.
    let entries_max = seal.window_entries_max.get().div_ceil(streams.get());
    Equipment {
        streams,
        subjects,
        limits: WindowLimits {
            entries_max: NonZeroUsize::new(entries_max).unwrap_or(NonZeroUsize::MIN),
            time: seal.window,
        },
        conflicts: ConflictSettings {
            enrichment: seal.enrichment.clone(),
            per_second_max: seal.conflicts_per_second_max,
            finding: seal.conflicts_finding,
        },
        sizes: sizes(seal),
        epoch_max: seal.epoch,
        intervals: Intervals { note: seal.checkpoint, leaf_changed: seal.root_changed, leaf_idle: seal.root_idle },
        metrics,
        health,
    }
}

/// Returns the bytes that must be free for [`open`] to open an epoch.
pub fn free_bytes_to_start(config: &Config) -> u64 {
    bytes_to_start(&sizes(&config.seal), config.seal.streams.unwrap_or(NonZeroUsize::MIN))
}

/// Seals until every way in is gone, then ends the epochs and signs what is left behind. When one stream cannot go on it asks
/// for the stop of everything, so that the others end too.
///
/// # Errors
/// When a stream cannot go on: nothing that is not durable was acknowledged, and the next start takes over.
pub async fn run(engine: Engine, stop: CancellationToken) -> anyhow::Result<()> {
    let Engine { threads, checkpoints, clocks, health } = engine;
    let (stop_signing, stopped) = mpsc::channel();
    let mut signing = on_thread("checkpoints", move || checkpoints.run(&clocks, &stopped))?;
    let mut sealing = JoinSet::new();
    for thread in threads {
        let stage = thread.stream.stage;
        let ended = on_thread("stream", move || thread.run())?;
        sealing.spawn(async move { (stage, flatten(ended.await)) });
    }
    let all = async {
        let mut all = Ok(());
        while let Some(ended) = sealing.join_next().await {
            let (stage, ended) = ended.unwrap_or_else(|panicked| (STAGE, Err(panicked.into())));
            if let Err(error) = &ended {
                health.unready(stage, format!("{error:#}"));
                stop.cancel();
            }
            all = all.and(ended);
        }
        all
    };
    let ended = tokio::select! {
        ended = all => {
            drop(stop_signing);
            let signed = flatten(signing.await);
            ended.and(signed)
        }
        // It goes on until it is told to stop, so it has failed. The streams end when nothing more comes in.
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

fn scanner(config: &Config, keys: &Keys, streams: NonZeroUsize) -> Result<Scanner, StartError> {
    let authority = Authority::new(&with_own_keys(&config.authority, keys), keys.deployment.as_str())?;
    let configuration = toml::to_string(authority.config())?;
    if configuration.len() > CONFIGURATION_BYTES_MAX {
        return Err(StartError::ConfigurationTooLong { bytes: configuration.len(), max: CONFIGURATION_BYTES_MAX });
    }
    Ok(Scanner {
        fingerprints: Fingerprints::new(&keys.dedup),
        streams,
        cutting: Cutting::new(config.cut.keep_out.iter().cloned(), config.cut.subject.clone()),
        authority: Arc::new(authority),
        configuration: Bytes::from(configuration),
    })
}

/// Returns the configuration with what this collector itself enrols, and a development set-up approves.
fn with_own_keys(config: &spanseal_authority::Config, keys: &Keys) -> spanseal_authority::Config {
    let mut config = config.clone();
    let enroller = Enroller { name: keys.deployment.to_string(), key: keys.enrolment.public().to_string() };
    if config.enroller.iter().all(|other| other.key != enroller.key) {
        config.enroller.push(enroller);
    }
    let dev = keys.dev_approver.as_ref().map(|approver| approver.public().to_string());
    config.approver.extend(dev.map(|key| Approver { name: DEV_APPROVER.to_owned(), key }));
    config
}

fn sizes(seal: &config::Seal) -> Options {
    Options { segment_bytes_max: seal.segment_bytes_max.get(), group_bytes_max: seal.group_bytes_max.get() as u64 }
}

/// Orders that may wait.
const ORDERS_MAX: usize = 16;
/// It is sealed as one event.
const CONFIGURATION_BYTES_MAX: usize = 48 * 1024;
