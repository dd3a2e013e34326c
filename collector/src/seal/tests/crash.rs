//! Every operation on the disk fails or is the last, in turn; the senders try again; and everything must hold.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::ErrorKind;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use spanseal_ledger::StreamId;
use spanseal_ledger::batch::Batch;
use spanseal_log::{DataDir, Fault, Item, Memory, Owner, Reader};
use spanseal_schemas::cut;
use spanseal_schemas::event::ConflictEvent;

use super::requests::{Number, Request, bad_span, other_span, secret_span, span};
use super::verdict::verdict;
use super::world::{DATA, Process, Settings, Stopped, World};
use crate::intake::Refusal;

/// What one run of the engine goes through. Each step is tried again, in another process if need be, until it is done.
#[derive(Debug, Clone)]
enum Step {
    /// These requests wait at the same time.
    Group(Vec<Request>),
    Checkpoint,
    Pass(Duration),
    Tick,
    /// A clean end, and a new start.
    Restart,
}

fn script() -> Vec<Step> {
    use Step::{Checkpoint, Group, Pass, Restart, Tick};
    vec![
        Group(vec![Request::of(1..=3), Request::of(4..=5).of_service("other")]),
        Checkpoint,
        Group(vec![Request::of([3, 6]).with(bad_span()), Request::of([7, 7]).with(secret_span(8, 40))]),
        Pass(Duration::from_secs(11)),
        Checkpoint,
        Group(vec![Request::of(9..=40)]),
        // Conflicts: with a span of another group, with one of its own, with one that has cuts.
        Group(vec![Request::of([]).with(other_span(3)), Request::of([45]).with(other_span(45)).with(other_secret(8))]),
        Pass(Duration::from_secs(60)),
        Tick,
        Group(vec![Request::of(41..=42)]),
        Restart,
        Group(vec![Request::of([42, 43]).with(secret_span(44, 10)).with(other_span(42)).with(other_span(3))]),
        Checkpoint,
        Restart,
    ]
}

fn other_secret(number: Number) -> Span {
    Span { name: other_span(number).name, ..secret_span(number, 30) }
}

fn settings(streams: usize) -> Settings {
    // Segments so small that they roll within the script.
    Settings { segment_bytes_max: 4096, epoch_max: Duration::from_secs(60), streams, ..Settings::default() }
}

/// What happens to the disk after the process has died, or has stopped by itself.
#[derive(Debug, Clone, Copy)]
enum Cut {
    /// The process alone ends: the page cache survives.
    Kill,
    /// Only what was synced survives.
    Power,
    /// What was synced and some of the rest.
    PowerKeeping(u64),
}

/// One run of the script under faults.
struct Run {
    world: World,
    process: Option<Process>,
    cut: Cut,
    /// Faults for the lives to come: each hits after so many operations of that life.
    faults: Vec<(u64, Fault)>,
    acknowledged: BTreeSet<Number>,
    /// The names of those with the ids of another and other bytes.
    acknowledged_others: BTreeSet<String>,
    sent: Vec<Request>,
    /// Every seal that any life has shown, by epoch and first index.
    seals: HashMap<(StreamId, u32, u64), Vec<u8>>,
    lives: u32,
}

impl Run {
    fn new(streams: usize, cut: Cut, faults: Vec<(u64, Fault)>) -> Self {
        let mut run = Self {
            world: World::new(settings(streams)),
            process: None,
            cut,
            faults,
            acknowledged: BTreeSet::new(),
            acknowledged_others: BTreeSet::new(),
            sent: Vec::new(),
            seals: HashMap::new(),
            lives: 0,
        };
        run.plan_fault();
        run
    }

    fn plan_fault(&mut self) {
        if let Some((operations, fault)) = self.faults.pop() {
            self.world.memory.fault_after(operations, fault);
        }
    }

    fn play(mut self) -> Self {
        for step in script() {
            let mut tries = 0;
            while let Err(_stopped) = self.step(&step) {
                self.die();
                tries += 1;
                assert!(tries < 10, "the step needs a hand: {step:?}");
            }
        }
        self
    }

    fn step(&mut self, step: &Step) -> Result<(), Stopped> {
        let mut process = match self.process.take() {
            Some(process) => process,
            None => self.start()?,
        };
        match step {
            Step::Group(requests) => self.group(&mut process, requests)?,
            Step::Checkpoint => self.world.checkpoint(&mut process)?,
            Step::Pass(time) => self.world.pass(*time),
            Step::Tick => self.world.tick(&mut process)?,
            Step::Restart => {
                self.world.end(process)?;
                process = self.start()?;
            }
        }
        self.process = Some(process);
        Ok(())
    }

    fn start(&mut self) -> Result<Process, Stopped> {
        self.lives += 1;
        self.world.start()
    }

    /// Sends requests until all are accepted, as senders do when they are told to try again.
    fn group(&mut self, process: &mut Process, requests: &[Request]) -> Result<(), Stopped> {
        self.sent.extend_from_slice(requests);
        let mut waiting = requests.to_vec();
        while !waiting.is_empty() {
            let answers = self.world.group(process, &waiting)?;
            let mut refused = Vec::new();
            for (request, answer) in waiting.into_iter().zip(answers) {
                match answer {
                    Ok(_) => self.acknowledge(&request),
                    Err(Refusal::DiskFull { .. }) => refused.push(request),
                    Err(other) => panic!("{other}"),
                }
            }
            waiting = refused;
            assert!(waiting.is_empty() || !process.is_ready(), "readiness says that the disk is full");
            if !process.is_ready() {
                // Somebody makes space; nobody touches the process.
                self.world.memory.set_free_bytes(None);
                self.world.pass(Duration::from_secs(1));
                self.world.tick(process)?;
            }
        }
        assert!(process.is_ready());
        Ok(())
    }

    fn acknowledge(&mut self, request: &Request) {
        let valid = request.spans.iter().filter(|span| span.trace_id.len() == 16);
        let (others, firsts): (Vec<_>, Vec<_>) = valid.partition(|span| span.name.starts_with("other"));
        self.acknowledged.extend(firsts.into_iter().map(|span| number(&span.trace_id)));
        self.acknowledged_others.extend(others.into_iter().map(|span| span.name.clone()));
    }

    /// The process is gone; what it leaves is what the cut leaves.
    fn die(&mut self) {
        self.process = None;
        let memory = self.world.memory.clone();
        self.world.memory = memory.kill();
        self.gather_seals();
        self.world.memory = match self.cut {
            Cut::Kill => self.world.memory.clone(),
            Cut::Power => self.world.memory.crash(),
            Cut::PowerKeeping(seed) => self.world.memory.crash_keeping(seed + u64::from(self.lives)),
        };
        self.world.memory.set_free_bytes(None);
        self.plan_fault();
    }

    /// No epoch key has signed two batches for one index.
    fn gather_seals(&mut self) {
        let dir = DataDir::at(Arc::new(self.world.memory.clone()), Path::new(DATA));
        for stream in dir.streams().unwrap_or_default() {
            let owner = Owner::Stream(stream);
            let Ok(mut reader) = Reader::open(dir.shared_storage(), &dir.log(&owner), owner, 0) else { continue };
            while let Ok(Some(item)) = reader.read_next() {
                let (Item::Batch { bytes, .. } | Item::Superseded { bytes, .. }) = item else { continue };
                let Ok(batch) = Batch::parse(bytes) else { continue };
                let seal = batch.seal();
                let known = self.seals.entry((stream, seal.epoch, seal.first)).or_insert_with(|| bytes.to_vec());
                assert_eq!(known, bytes, "index {} is signed twice in epoch {}", seal.first, seal.epoch);
            }
        }
    }

    /// Everything that was sent is sent once more; then everything acknowledged is there once, and the ledger holds.
    fn check(mut self) {
        let sent = std::mem::take(&mut self.sent);
        if self.world.memory.is_dead() {
            // It died where nobody minds, as in writing a checkpoint.
            self.faults.clear();
            self.die();
        }
        self.world.memory.clear_faults();
        self.world.memory.set_free_bytes(None);
        let mut process = match self.process.take() {
            Some(process) => process,
            None => self.world.must_start(),
        };
        self.world.tick(&mut process).unwrap();
        self.group(&mut process, &sent).unwrap();
        self.world.end(process).unwrap();
        self.gather_seals();
        let verdict = verdict(&self.world.memory, &self.world.pins);
        verdict.must_hold();
        let streams: BTreeSet<StreamId> = verdict.events.iter().map(|event| event.stream).collect();
        assert_eq!(streams.len(), self.world.settings.streams, "no crash makes a stream unsound");
        let mut times: BTreeMap<Number, usize> = BTreeMap::new();
        verdict.spans().into_iter().for_each(|number| *times.entry(number).or_default() += 1);
        let twice: Vec<_> = times.iter().filter(|(_, times)| **times > 1).collect();
        assert!(twice.is_empty(), "sealed more than once: {twice:?}");
        assert!(self.acknowledged.iter().eq(times.keys()), "acknowledged is not what is sealed");
        let mut others: Vec<String> = verdict.conflicts().iter().map(name).collect();
        others.sort_unstable();
        assert!(self.acknowledged_others.iter().eq(&others), "conflicts: {others:?}");
    }
}

fn name(conflict: &ConflictEvent) -> String {
    Span::decode(&cut::view(&conflict.span, &conflict.cuts).unwrap()[..]).unwrap().name
}

fn number(trace_id: &[u8]) -> Number {
    u64::from_be_bytes(*trace_id.last_chunk().unwrap())
}

/// How many operations the script takes without a fault.
fn operations(streams: usize) -> u64 {
    let run = Run::new(streams, Cut::Kill, vec![]).play();
    let operations = run.world.memory.counts().operations;
    run.check();
    operations
}

/// The fault hits each operation of the script in turn.
fn check_everywhere(fault: Fault, cut: impl Fn(u64) -> Cut) {
    check_streams_everywhere(1, fault, cut);
}

fn check_streams_everywhere(streams: usize, fault: Fault, cut: impl Fn(u64) -> Cut) {
    let operations = operations(streams);
    assert!(operations > 100, "{operations}");
    for at in 0..operations {
        let _label = Label(format!("operation {at} of {operations}, {fault:?}, {:?}", cut(at)));
        Run::new(streams, cut(at), vec![(at, fault)]).play().check();
    }
}

#[test]
fn holds_when_the_power_fails_at_any_operation() {
    // What follows an operation is what precedes the next.
    check_everywhere(Fault::DieBefore, |_| Cut::Power);
}

#[test]
fn holds_when_the_power_fails_and_some_of_what_was_not_synced_stays() {
    check_everywhere(Fault::DieAfter, Cut::PowerKeeping);
}

#[test]
fn holds_when_the_process_is_killed_at_any_operation() {
    check_everywhere(Fault::DieAfter, |_| Cut::Kill);
}

#[test]
fn holds_when_any_operation_fails() {
    check_everywhere(Fault::Unwritten(ErrorKind::Other), |_| Cut::Power);
}

#[test]
fn holds_when_any_operation_fails_but_has_its_effect() {
    check_everywhere(Fault::Written(ErrorKind::Other), |at| if at % 2 == 0 { Cut::Power } else { Cut::Kill });
}

#[test]
fn holds_when_the_disk_is_full_at_any_operation() {
    check_everywhere(Fault::Unwritten(ErrorKind::StorageFull), |_| Cut::Power);
}

#[test]
fn holds_when_the_disk_is_full_from_any_operation_on() {
    for free_bytes in [0, 5000] {
        check_everywhere(Fault::Full { free_bytes }, |_| Cut::Power);
    }
}

#[test]
fn several_streams_hold_when_the_power_fails_at_any_operation() {
    check_streams_everywhere(2, Fault::DieBefore, |_| Cut::Power);
}

#[test]
fn several_streams_hold_when_the_disk_is_full_at_any_operation() {
    check_streams_everywhere(2, Fault::Unwritten(ErrorKind::StorageFull), |_| Cut::Power);
}

#[test]
fn holds_under_many_faults_in_a_row() {
    check_many_faults(1, 0..300);
}

#[test]
fn several_streams_hold_under_many_faults_in_a_row() {
    check_many_faults(3, 1000..1200);
}

fn check_many_faults(streams: usize, seeds: Range<u64>) {
    let operations = operations(streams);
    for seed in seeds {
        let mut dice = Dice(seed);
        let faults: Vec<_> = (0..1 + dice.below(6)).map(|_| (dice.below(operations), dice.fault())).collect();
        let cut = match dice.below(3) {
            0 => Cut::Kill,
            1 => Cut::Power,
            _ => Cut::PowerKeeping(seed),
        };
        let _label = Label(format!("seed {seed}, {cut:?}, {faults:?}"));
        Run::new(streams, cut, faults).play().check();
    }
}

/// Says which run it was when a test fails.
struct Label(String);

impl Drop for Label {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.0);
        }
    }
}

/// SplitMix64.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % limit
    }

    fn fault(&mut self) -> Fault {
        match self.below(6) {
            0 => Fault::DieBefore,
            1 => Fault::DieAfter,
            2 => Fault::Unwritten(ErrorKind::Other),
            3 => Fault::Written(ErrorKind::Other),
            4 => Fault::Unwritten(ErrorKind::StorageFull),
            _ => Fault::Full { free_bytes: self.below(20_000) },
        }
    }
}

/// A log that forgets what was not synced is what makes the other tests worth something.
#[test]
fn an_answer_before_the_sync_would_be_found_out() {
    let mut world = World::new(settings(1));
    let mut process = world.must_start();
    let (parcel, _answer) = world.parcel(&process, &Request::of([]).with(span(1)));
    process.streams[0].seal_parcel(&parcel, &[], &HashMap::new(), &world.now).unwrap();
    drop(process);
    world.memory = Memory::crash(&world.memory);
    let process = world.must_start();
    world.end(process).unwrap();
    assert!(verdict(&world.memory, &world.pins).spans().is_empty());
}
