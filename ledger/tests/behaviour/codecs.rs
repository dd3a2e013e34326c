//! Every layout there and back, and arbitrary bytes.

use proptest::prelude::*;
use spanseal_ledger::batch::Batch;
use spanseal_ledger::checkpoint::Checkpoint;
use spanseal_ledger::epoch::{EpochStart, Start};
use spanseal_ledger::gap::{Gap, GapCause};
use spanseal_ledger::key::{KeyId, Signer};
use spanseal_ledger::key_event::{CloseReason, Closing, KeyEvent, KeyEventError, Opening};
use spanseal_ledger::note::Note;
use spanseal_ledger::root_leaf::{
    CloseHow, EpochClose, Genesis, Predecessor, PredecessorState, RootLeaf, RootLeafError, RootOp, StreamOpen,
    StreamSize, sign,
};
use spanseal_ledger::seal::{Counters, Seal, SealError, SignedSeal};
use spanseal_ledger::trust::Trust;
use spanseal_ledger::verify::Position;
use spanseal_ledger::{Deployment, EventId, Role, StreamId};

use crate::corpus::world::key;

fn stream() -> impl Strategy<Value = StreamId> {
    any::<[u8; 16]>().prop_map(StreamId)
}

fn start() -> impl Strategy<Value = Start> {
    prop_oneof![Just(Start::First), Just(Start::AfterClose), Just(Start::Rotation), Just(Start::AfterUncleanStop)]
}

prop_compose! {
    fn epoch_start()(
        stream in stream(), epoch: u32, start in start(), first: u64, root: [u8; 32], seal_hash: [u8; 32], tail: [u8; 32],
    ) -> EpochStart {
        let mut key = [1; 33];
        key[1..].copy_from_slice(&tail);
        EpochStart { stream, epoch, start, first, root, seal_hash, key }
    }
}

prop_compose! {
    fn seal()(
        stream in stream(), epoch: u32, count in 1u16..=256, first in 0..u64::MAX - 256, root: [u8; 32], previous: [u8; 32],
        times: [u64; 3], numbers: [u64; 7],
    ) -> Seal {
        let [wall, monotonic, wall_behind] = times;
        let [received, sealed, duplicate, conflict, invalid, shed, refused] = numbers;
        let counters = Counters { received, sealed, duplicate, conflict, invalid, shed, refused };
        Seal { stream, epoch, count, first, root, previous, wall, monotonic, wall_behind, counters }
    }
}

fn size() -> impl Strategy<Value = StreamSize> {
    (stream(), any::<u64>(), any::<[u8; 32]>()).prop_map(|(stream, size, root)| StreamSize { stream, size, root })
}

fn root_op() -> impl Strategy<Value = RootOp> {
    let state =
        prop_oneof![Just(PredecessorState::Closed), Just(PredecessorState::Unread), Just(PredecessorState::TailLost)];
    let before = (any::<[u8; 15]>(), any::<u64>(), state).prop_map(|(id, size, state)| {
        let mut stream = [1; 16];
        stream[1..].copy_from_slice(&id);
        Predecessor { stream: StreamId(stream), size, state }
    });
    let how = prop_oneof![Just(CloseHow::ByEpochKey), Just(CloseHow::ByIdentity)];
    prop_oneof![
        "[!-*,-~]{1,128}".prop_map(|name| RootOp::Genesis(Genesis {
            deployment: Deployment::new(&name).unwrap(),
            keys: [[1; 33], [2; 33], [3; 33], [4; 33]],
        })),
        (1u8..5, any::<u8>())
            .prop_map(|(role, byte)| RootOp::Register { role: Role::from_number(role).unwrap(), key: [byte; 33] }),
        any::<[u8; 32]>().prop_map(|id| RootOp::Revoke { key: KeyId(id) }),
        (stream(), prop::option::of(before))
            .prop_map(|(stream, predecessor)| RootOp::StreamOpen(StreamOpen { stream, predecessor })),
        epoch_start().prop_map(RootOp::EpochOpen),
        (how, size(), any::<u32>(), any::<[u8; 32]>())
            .prop_map(|(how, at, epoch, seal_hash)| RootOp::EpochClose(EpochClose { how, at, epoch, seal_hash })),
        size().prop_map(RootOp::StreamClose),
        size().prop_map(RootOp::StreamCheckpoint),
    ]
}

proptest! {
    #[test]
    fn ids(stream in stream(), index: u64) {
        let id = EventId { stream, index };
        prop_assert_eq!(id.to_string().parse(), Ok(id));
        prop_assert_eq!(stream.to_string().parse(), Ok(stream));
    }

    #[test]
    fn seals(seal in seal(), signature in any::<[u8; 32]>()) {
        let signed = SignedSeal { seal, signature: [signature, signature].concat().try_into().unwrap() };
        prop_assert_eq!(SignedSeal::parse(&signed.encode()), Ok(signed));
        let key = key("epoch");
        prop_assert_eq!(seal.sign(&key).verify(&key.public()), Ok(()));
    }

    #[test]
    fn openings(epoch in epoch_start(), deployment: [u8; 32], root_leaf: u64, wall: u64, identity: [u8; 32]) {
        let opening = Opening { epoch, deployment, root_leaf, wall, identity: KeyId(identity) };
        let signed = opening.sign(&key("identity"), Some(&key("outgoing")));
        prop_assert_eq!(KeyEvent::parse(&signed.encode()), Ok(KeyEvent::Opening(signed)));
    }

    #[test]
    fn closings(stream in stream(), epoch: u32, index: u64, wall: u64, rotation: bool) {
        let reason = if rotation { CloseReason::Rotation } else { CloseReason::Shutdown };
        let closing = Closing { reason, stream, epoch, index, wall };
        prop_assert_eq!(KeyEvent::parse(&closing.encode()), Ok(KeyEvent::Closing(closing)));
    }

    #[test]
    fn gaps(stream in stream(), first: u64, expected_size: Option<u32>, spans_lost: Option<u32>, wall: u64) {
        let (expected_size, spans_lost) = (expected_size.map(u64::from), spans_lost.map(u64::from));
        for cause in [GapCause::UncleanStop, GapCause::TailLost, GapCause::Shed] {
            let gap = Gap { cause, stream, first, expected_size, spans_lost, wall };
            prop_assert_eq!(Gap::parse(&gap.encode()), Ok(gap));
        }
    }

    #[test]
    fn root_leaves(op in root_op(), time: u64, id: [u8; 32]) {
        let co_signers: [&dyn Signer; 3] = [&key("a"), &key("b"), &key("c")];
        let more = match &op {
            RootOp::Genesis(_) => 3,
            RootOp::EpochOpen(epoch) if epoch.start == Start::Rotation => 2,
            RootOp::EpochOpen(_) | RootOp::Register { .. } => 1,
            _ => 0,
        };
        let signer = key("signer");
        let bytes = sign(&op, time, (KeyId(id), &signer), &co_signers[..more]);
        let leaf = RootLeaf::parse(&bytes).unwrap();
        prop_assert_eq!((&leaf.op, leaf.time, leaf.signer), (&op, time, KeyId(id)));
        prop_assert_eq!(leaf.message.len(), bytes.len() - 64 * (1 + more));
        prop_assert_eq!(signer.public().verify(leaf.message, &leaf.signature), Ok(()));
        for (key, signature) in co_signers.iter().zip(&leaf.more) {
            prop_assert_eq!(key.public().verify(leaf.message, signature), Ok(()));
        }
        prop_assert_eq!(RootLeaf::parse(&bytes[..bytes.len() - 1]), Err(RootLeafError::Length));
        let longer = [&bytes[..], &[0]].concat();
        prop_assert_eq!(RootLeaf::parse(&longer), Err(RootLeafError::Length));
    }

    #[test]
    fn checkpoints(origin in "[!-~]{1,40}", size: u64, root: [u8; 32]) {
        let checkpoint = Checkpoint { origin, size, root };
        prop_assert_eq!(Checkpoint::parse(&checkpoint.text()), Ok(checkpoint));
    }

    /// A seal that parses is written again byte for byte: no byte is ignored.
    #[test]
    fn seals_have_one_encoding(seal in seal(), place in 0usize..264, bit in 0u8..8) {
        let mut bytes = seal.sign(&key("epoch")).encode();
        bytes[place] ^= 1 << bit;
        if let Ok(parsed) = SignedSeal::parse(&bytes) {
            prop_assert_eq!(parsed.encode(), bytes);
        }
    }

    #[test]
    fn arbitrary_bytes_do_not_panic(bytes in prop::collection::vec(any::<u8>(), 0..700), text in "\\PC*") {
        let magics: [&[u8]; 4] = [b"", b"spanseal/seal/v1", b"spanseal/root/v1", &[9, 1, 1]];
        for magic in magics {
            let bytes = [magic, &bytes].concat();
            let _ = Batch::parse(&bytes).map(|batch| batch.events().count());
            let _ = KeyEvent::parse(&bytes);
            let _ = Gap::parse(&bytes);
            let _ = RootLeaf::parse(&bytes);
            let _ = Note::parse(&bytes);
            let _ = Position::decode(&bytes);
        }
        let _ = Note::parse(text.as_bytes());
        let _ = Checkpoint::parse(&text);
        let _ = Trust::parse(&text);
        let _ = Trust::parse(&format!("spanseal-trust/v1\n{text}"));
        let _ = spanseal_ledger::key::PublicKey::parse_vkey(&text);
        let _ = text.parse::<EventId>();
    }
}

#[test]
fn ids_have_one_text() {
    let hex = "0102030405060708090a0b0c0d0e0f10";
    for text in ["", "0", &hex[1..], &hex.to_uppercase(), &format!("{hex}0"), &format!(" {hex}")] {
        assert!(text.parse::<StreamId>().is_err(), "{text}");
    }
    for index in ["", "-1", "+1", "01", "1 ", "18446744073709551616"] {
        assert!(format!("{hex}-{index}").parse::<EventId>().is_err(), "{index}");
    }
    assert!(format!("{hex}-0").parse::<EventId>().is_ok());
}

#[test]
fn names_are_visible_ascii_without_plus() {
    for name in ["", "a b", "a+b", "ä", "a\n", &"a".repeat(129)] {
        assert!(Deployment::new(name).is_err(), "{name:?}");
    }
    assert!(Deployment::new(&"a".repeat(128)).is_ok());
}

#[test]
fn seals_with_fields_without_a_meaning_are_refused() {
    let seal = Seal {
        stream: StreamId([1; 16]),
        epoch: 1,
        count: 2,
        first: 4,
        root: [0; 32],
        previous: [0; 32],
        wall: 0,
        monotonic: 0,
        wall_behind: 0,
        counters: Counters::default(),
    };
    let bytes = seal.sign(&key("epoch")).encode();
    #[track_caller]
    fn check(mut bytes: [u8; 264], place: usize, value: u8, expected: SealError) {
        bytes[place] = value;
        assert_eq!(SignedSeal::parse(&bytes), Err(expected));
    }
    check(bytes, 0, b'S', SealError::Magic);
    check(bytes, 15, b'2', SealError::Version { got: b'2' });
    check(bytes, 36, 1, SealError::Count { got: 258 });
    check(bytes, 37, 0, SealError::Count { got: 0 });
    check(bytes, 39, 1, SealError::Reserved);
    check(bytes, 55, 7, SealError::Size { first: 4, count: 2, size: 7 });
}

#[test]
fn key_events_with_fields_without_a_meaning_are_refused() {
    let closing = Closing { reason: CloseReason::Shutdown, stream: StreamId([1; 16]), epoch: 1, index: 4, wall: 0 };
    let bytes = closing.encode();
    #[track_caller]
    fn check(bytes: [u8; 40], place: usize, value: u8, expected: KeyEventError) {
        let mut bytes = bytes;
        bytes[place] = value;
        assert_eq!(KeyEvent::parse(&bytes), Err(expected));
    }
    check(bytes, 0, 1, KeyEventError::Kind);
    check(bytes, 1, 3, KeyEventError::Version { got: 3 });
    check(bytes, 1, 1, KeyEventError::Length);
    check(bytes, 2, 2, KeyEventError::Version { got: 2 });
    check(bytes, 3, 0, KeyEventError::Value);
    assert_eq!(KeyEvent::parse(&bytes[..39]), Err(KeyEventError::Length));
    assert_eq!(KeyEvent::parse(&[]), Err(KeyEventError::Length));
}

#[test]
fn an_outgoing_signature_belongs_to_rotations_only() {
    let start = |start| EpochStart {
        stream: StreamId([1; 16]),
        epoch: 2,
        start,
        first: 4,
        root: [0; 32],
        seal_hash: [0; 32],
        key: [1; 33],
    };
    let opening =
        |start| Opening { epoch: start, deployment: [0; 32], root_leaf: 3, wall: 0, identity: KeyId([0; 32]) };
    let rotation = opening(start(Start::Rotation)).sign(&key("identity"), Some(&key("outgoing")));
    assert_ne!(rotation.outgoing, [0; 64]);
    let mut restart = opening(start(Start::AfterClose)).sign(&key("identity"), Some(&key("outgoing")));
    assert_eq!(restart.outgoing, [0; 64]);
    restart.outgoing = rotation.outgoing;
    assert_eq!(KeyEvent::parse(&restart.encode()), Err(KeyEventError::Reserved));
}
