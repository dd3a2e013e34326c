//! The hot path: events of 1.2 KB pushed and sealed, a batch verified, a leaf appended. `cargo bench -p spanseal-ledger`;
//! under `cargo test` each runs once.
#![allow(missing_docs, reason = "criterion's macros")]

use std::hint::black_box;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use spanseal_ledger::epoch::{EpochStart, Start};
use spanseal_ledger::key::{SecretKey, Signer};
use spanseal_ledger::key_event::Opening;
use spanseal_ledger::leaf::{leaf_hash, plain_hash};
use spanseal_ledger::root_leaf::{RoleSigners, StreamOpen, Submission};
use spanseal_ledger::sealer::{Clock, Head, Sealer, Tally};
use spanseal_ledger::tree::Frontier;
use spanseal_ledger::verify::{HashedBatch, RootState, RootVerifier, StreamVerifier};
use spanseal_ledger::{Deployment, Role, StreamId, kind};

const EVENTS: u64 = 256;
const EVENT_LEN: usize = 1_200;
const STREAM: StreamId = StreamId([1; 16]);

fn key(n: u8) -> SecretKey {
    SecretKey::from_seed(&mut [n; 32])
}

/// An open epoch at index 256, and the root log that opens it.
fn open() -> (Sealer, RootState, Vec<u8>) {
    let deployment = Deployment::new("bench.example").expect("a valid name");
    let (identity, checkpoint, cosign, sequencer) = (key(1), key(2), key(3), key(4));
    let signers = RoleSigners { identity: &identity, checkpoint: &checkpoint, cosign: &cosign, sequencer: &sequencer };
    let leaf = Submission { deployment: &deployment, time: 0 };
    let (head, epoch_key) = (Head::empty(STREAM), key(5));
    let epoch = EpochStart::after(&head, 1, Start::First, &epoch_key.public());
    let mut root = RootVerifier::new(None);
    let leaves = [
        leaf.genesis(&signers),
        leaf.open_stream(&identity, StreamOpen { stream: STREAM, predecessor: None }),
        leaf.open_epoch(&identity, epoch, &epoch_key, None),
    ];
    leaves.iter().for_each(|leaf| root.push(leaf).expect("an honest leaf"));
    let opening = Opening {
        epoch,
        deployment: plain_hash(deployment.as_str().as_bytes()),
        root_leaf: 2,
        wall: 0,
        identity: identity.public().id(&deployment.role_name(Role::Identity)),
    };
    let mut sealer = Sealer::open(head, epoch_key, &opening.sign(&identity, None)).expect("continues the head");
    let first = seal(&mut sealer, EVENTS - 1);
    (sealer, root.finish(None), first)
}

fn seal(sealer: &mut Sealer, events: u64) -> Vec<u8> {
    push(sealer, events);
    sealer.seal(clock(), &Tally::default()).expect("events wait").to_vec()
}

fn push(sealer: &mut Sealer, events: u64) {
    for _ in 0..events {
        sealer.push(kind::SPAN, |out| out.extend_from_slice(&[7; EVENT_LEN - 1])).expect("fits");
    }
}

fn clock() -> Clock {
    Clock { wall_unix_nano: 1, monotonic_nano: 1 }
}

fn writing(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("write");
    group.throughput(Throughput::Elements(EVENTS));
    let (mut sealer, _, _) = open();
    group.bench_function("push and seal 256 events of 1.2 KB", |bencher| {
        bencher.iter(|| {
            push(&mut sealer, EVENTS);
            black_box(sealer.seal(clock(), &Tally::default()).map(<[u8]>::len))
        });
    });
    group.throughput(Throughput::Elements(1));
    let mut tree = Frontier::new();
    let leaf = leaf_hash(&[7; EVENT_LEN]);
    group.bench_function("append a leaf to the tree", |bencher| bencher.iter(|| tree.push(black_box(leaf))));
    group.finish();
}

fn verifying(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("verify");
    group.throughput(Throughput::Elements(EVENTS));
    let (mut sealer, root, first) = open();
    let batch = seal(&mut sealer, EVENTS);
    let mut before = StreamVerifier::new(&root, STREAM, None);
    before.push(&root, &first).expect("an honest batch");
    group.bench_function("a batch of 256 events of 1.2 KB", |bencher| {
        let verify = |mut verifier: StreamVerifier| verifier.push(&root, &batch).expect("an honest batch");
        bencher.iter_batched(|| before.clone(), verify, BatchSize::SmallInput);
    });
    group.bench_function("of which hashing, for any core", |bencher| {
        bencher.iter(|| HashedBatch::parse(black_box(&batch)).expect("an honest batch").leaves().len());
    });
    group.finish();
}

criterion_group!(benches, writing, verifying);
criterion_main!(benches);
