//! The writing side.

use proptest::prelude::*;
use spanseal_ledger::batch::{BATCH_BYTES_MAX, Batch, EVENT_BYTES_MAX};
use spanseal_ledger::epoch::{EpochStart, Start};
use spanseal_ledger::key::{KeyId, SecretKey, Signer};
use spanseal_ledger::key_event::{CLOSING_LEN, CloseReason, KeyEvent, OPENING_LEN, Opening, SignedOpening};
use spanseal_ledger::leaf::leaf_hash;
use spanseal_ledger::sealer::{Clock, Head, OpenError, PushError, Sealer, Tally};
use spanseal_ledger::tree::root_of;
use spanseal_ledger::{StreamId, kind};

use crate::corpus::world::key;

const STREAM: StreamId = StreamId([1; 16]);

fn opening(head: &Head, start: Start, epoch_key: &SecretKey) -> SignedOpening {
    let epoch = EpochStart::after(head, head.epoch + 1, start, &epoch_key.public());
    let opening = Opening { epoch, deployment: [0; 32], root_leaf: 2, wall: 0, identity: KeyId([0; 32]) };
    opening.sign(&key("identity"), None)
}

fn sealer() -> Sealer {
    let (head, epoch_key) = (Head::empty(STREAM), key("epoch"));
    let opening = opening(&head, Start::First, &epoch_key);
    Sealer::open(head, epoch_key, &opening).unwrap()
}

fn at(seconds: u64) -> Clock {
    Clock { wall_unix_nano: seconds * 1_000_000_000, monotonic_nano: seconds }
}

fn push(sealer: &mut Sealer, body_len: usize) -> Result<u64, PushError> {
    sealer.push(kind::SPAN, |out| out.resize(out.len() + body_len, 7))
}

fn seal(sealer: &mut Sealer, seconds: u64) -> Vec<u8> {
    sealer.seal(at(seconds), &Tally::default()).unwrap().to_vec()
}

#[test]
fn the_opening_is_the_first_event() {
    let mut sealer = sealer();
    assert_eq!((sealer.next_index(), sealer.waiting(), sealer.epoch()), (1, 1, 1));
    let batch = seal(&mut sealer, 1);
    let events: Vec<_> = Batch::parse(&batch).unwrap().events().collect();
    assert_eq!(events[0].len(), OPENING_LEN);
    assert!(matches!(KeyEvent::parse(events[0]), Ok(KeyEvent::Opening(_))));
}

#[test]
fn an_epoch_opens_only_on_the_head_that_its_opening_names() {
    #[track_caller]
    fn check(change: impl FnOnce(&mut Head, &mut SignedOpening, &mut SecretKey), expected: OpenError) {
        let (mut head, mut epoch_key) = (Head::empty(STREAM), key("epoch"));
        let mut opening = opening(&head, Start::First, &epoch_key);
        change(&mut head, &mut opening, &mut epoch_key);
        assert_eq!(Sealer::open(head, epoch_key, &opening).err(), Some(expected));
    }
    check(|head, _, _| head.stream = StreamId([2; 16]), OpenError::NotHead);
    check(|head, _, _| head.frontier.push([0; 32]), OpenError::NotHead);
    check(|head, _, _| head.seal_hash = [1; 32], OpenError::NotHead);
    check(|head, _, _| head.epoch = 1, OpenError::NotHead);
    check(|_, opening, _| opening.opening.epoch.root = [1; 32], OpenError::NotHead);
    check(|_, _, epoch_key| *epoch_key = key("another"), OpenError::OtherKey);
    check(|_, opening, _| opening.opening.epoch.start = Start::Rotation, OpenError::Unsigned);
}

#[test]
fn a_batch_ends_where_its_run_of_256_ends() {
    let mut sealer = sealer();
    for index in 1..256 {
        assert_eq!(u64::from(sealer.room().events), 256 - index);
        assert_eq!(push(&mut sealer, 1), Ok(index));
    }
    assert_eq!(sealer.room().events, 0);
    assert!(!sealer.fits(1));
    assert_eq!(push(&mut sealer, 1), Err(PushError::NoRoom));
    let batch = seal(&mut sealer, 1);
    assert_eq!(Batch::parse(&batch).unwrap().seal().count, 256);
    assert_eq!(sealer.room().events, 256);
    assert_eq!(push(&mut sealer, 1), Ok(256));
    // A batch begun in the middle of a run ends with the run too.
    seal(&mut sealer, 2);
    assert_eq!(sealer.room().events, 255);
}

#[test]
fn a_batch_never_exceeds_its_bytes() {
    let mut sealer = sealer();
    seal(&mut sealer, 1);
    let mut pushed = 0;
    while sealer.fits(EVENT_BYTES_MAX) {
        push(&mut sealer, EVENT_BYTES_MAX - 1).unwrap();
        pushed += 1;
    }
    assert_eq!(pushed, 13);
    assert_eq!(push(&mut sealer, EVENT_BYTES_MAX - 1), Err(PushError::NoRoom));
    let rest = sealer.room().bytes - 2;
    assert!(sealer.fits(rest) && !sealer.fits(rest + 1));
    push(&mut sealer, rest - 1).unwrap();
    let batch = seal(&mut sealer, 2);
    assert_eq!(batch.len(), BATCH_BYTES_MAX);
    assert_eq!(Batch::parse(&batch).unwrap().seal().count, 14);
}

#[test]
fn what_is_refused_leaves_nothing_behind() {
    let (mut tried, mut plain) = (sealer(), sealer());
    assert_eq!(push(&mut tried, EVENT_BYTES_MAX), Err(PushError::Size { got: EVENT_BYTES_MAX + 1 }));
    assert_eq!(push(&mut tried, 1_000_000), Err(PushError::Size { got: 1_000_001 }));
    assert_eq!(tried.push(kind::KEY, |_| {}), Err(PushError::KeyEvent));
    assert!(!tried.fits(EVENT_BYTES_MAX + 1));
    assert_eq!(push(&mut tried, 5), push(&mut plain, 5));
    assert_eq!(seal(&mut tried, 1), seal(&mut plain, 1));
}

#[test]
fn nothing_waiting_is_not_sealed() {
    let mut sealer = sealer();
    assert_eq!(sealer.head(), None);
    seal(&mut sealer, 1);
    assert_eq!(sealer.seal(at(2), &Tally::default()), None);
    assert_eq!(sealer.head().unwrap().frontier.size(), 1);
}

#[test]
fn times_and_counters_never_fall() {
    let mut sealer = sealer();
    let tally = Tally { duplicate: 3, conflict: 1, invalid: 2, shed: 4, refused: 9 };
    push(&mut sealer, 1).unwrap();
    let first = *Batch::parse(sealer.seal(at(10), &tally).unwrap()).unwrap().seal();
    push(&mut sealer, 1).unwrap();
    let second = *Batch::parse(sealer.seal(at(4), &Tally::default()).unwrap()).unwrap().seal();
    assert_eq!((second.wall, second.monotonic), (first.wall, first.monotonic));
    assert_eq!((first.wall_behind, second.wall_behind), (0, 1));
    assert!(second.counters.grew_from(&first.counters) && second.counters.add_up());
    assert_eq!((second.counters.received, second.counters.sealed, second.counters.refused), (12, 2, 9));
}

#[test]
fn closing_takes_the_last_place_of_the_batch_or_one_of_its_own() {
    #[track_caller]
    fn check(spans: usize, batches: usize) {
        let mut sealer = sealer();
        for _ in 0..spans {
            push(&mut sealer, 1).unwrap();
        }
        let mut out = Vec::new();
        let closed = sealer.close(CloseReason::Shutdown, at(5), &Tally::default(), &mut out);
        assert_eq!(out.len(), batches);
        let last = Batch::parse(&out[batches - 1]).unwrap();
        let event = last.events().last().unwrap();
        assert_eq!(event.len(), CLOSING_LEN);
        let Ok(KeyEvent::Closing(closing)) = KeyEvent::parse(event) else { panic!("not a closing") };
        assert_eq!(closing.index + 1, closed.head().frontier.size());
        assert_eq!(closing.index, spans as u64 + 1);
        assert_eq!(closed.head().seal_hash, last.signed_seal().hash());
        assert_eq!(closed.key().public(), key("epoch").public());
    }
    check(0, 1);
    check(254, 1);
    check(255, 2);
}

#[test]
fn a_key_is_not_printed() {
    assert_eq!(format!("{:?}", key("epoch")), "SecretKey(..)");
    assert!(!format!("{:?}", sealer()).contains("seed"));
    let mut seed = [9; 32];
    let _ = SecretKey::from_seed(&mut seed);
    assert_eq!(seed, [0; 32], "the seed that was given is wiped");
}

proptest! {
    /// Whatever is pushed comes back, in order, under the root of its leaves.
    #[test]
    fn batches_hold_what_was_pushed(lengths in prop::collection::vec(0usize..2_000, 0..600), cut in 1usize..90) {
        let mut sealer = sealer();
        let (mut batches, mut bodies) = (Vec::new(), Vec::new());
        for (number, length) in lengths.iter().enumerate() {
            let body = vec![number as u8; *length];
            if !sealer.fits(length + 1) || number % cut == 0 {
                batches.extend(sealer.seal(at(1), &Tally::default()).map(<[u8]>::to_vec));
            }
            sealer.push(kind::SPAN, |out| out.extend_from_slice(&body)).unwrap();
            bodies.push(body);
        }
        batches.extend(sealer.seal(at(1), &Tally::default()).map(<[u8]>::to_vec));
        let parsed: Vec<_> = batches.iter().map(|batch| Batch::parse(batch).unwrap()).collect();
        let events: Vec<&[u8]> = parsed.iter().flat_map(Batch::events).collect();
        prop_assert!(events[1..].iter().map(|event| &event[1..]).eq(bodies.iter().map(Vec::as_slice)));
        let leaves: Vec<_> = events.iter().map(|event| leaf_hash(event)).collect();
        prop_assert_eq!(parsed.last().unwrap().seal().root, root_of(&leaves));
        prop_assert!(parsed.iter().all(|batch| !batch.seal().crosses_run()));
    }
}
