//! Inclusion and consistency proofs.

use spanseal_ledger::Hash;
use spanseal_ledger::key::Signer;
use spanseal_ledger::leaf::{leaf_hash, node_hash};
use spanseal_ledger::proof::{prove_consistency, prove_inclusion};
use spanseal_ledger::tree::root_of;

use super::case::{S, T};
use super::notes::{cosigner, stream_keys};
use super::vector::{Expect, Input, Keys, Vector};
use super::world::{World, key, span};

pub fn vectors() -> Vec<Vector> {
    [inclusion(), consistency()].into_iter().flatten().collect()
}

fn leaves(count: u64) -> Vec<Hash> {
    (0..count).map(|index| leaf_hash(&span(index))).collect()
}

/// The note over a stream's leaves.
fn note(leaves: &[Hash]) -> String {
    let world = World::new();
    world.note_of(world.name.stream_origin(&S), leaves.len() as u64, root_of(leaves))
}

fn malformed() -> Expect {
    Expect::root("proof_malformed", None)
}

fn mismatch() -> Expect {
    Expect::root("proof_mismatch", None)
}

struct Inclusion {
    event: Vec<u8>,
    index: u64,
    proof: Vec<Hash>,
    size: u64,
}

impl Inclusion {
    /// The honest proof of event `index` among `size`.
    fn of(index: u64, size: u64) -> Inclusion {
        let proof = prove_inclusion(index, &leaves(size)).expect("inside the tree");
        Inclusion { event: span(index), index, proof, size }
    }

    fn vector(self, name: &'static str, what: &'static str, expect: Expect) -> Vector {
        let Inclusion { event, index, proof, size } = self;
        let (checkpoint, keys) = (note(&leaves(size)), stream_keys(&World::new()));
        Vector { name, what, input: Input::Inclusion { event, index, proof, checkpoint, keys }, expect }
    }
}

fn inclusion() -> Vec<Vector> {
    let all = leaves(7);
    let changed = |change: &dyn Fn(&mut Inclusion)| {
        let mut inclusion = Inclusion::of(2, 7);
        change(&mut inclusion);
        inclusion
    };
    vec![
        Inclusion::of(2, 7).vector("inclusion_valid", "Event 2 of 7.", Expect::holds()),
        Inclusion::of(6, 7).vector("inclusion_valid_on_the_edge", "Event 6 of 7, on the tree's right edge.", Expect::holds()),
        Inclusion::of(0, 1).vector("inclusion_valid_alone", "Event 0 of 1: the proof is empty.", Expect::holds()),
        changed(&|i| i.index = 3).vector("inclusion_wrong_index", "The proof of event 2, for index 3.", mismatch()),
        changed(&|i| i.size = 8).vector("inclusion_wrong_size", "The proof in a tree of 7 events, for one of 8.", mismatch()),
        changed(&|i| i.size = 4).vector("inclusion_smaller_tree", "The proof in a tree of 7 events, for one of 4.", malformed()),
        changed(&|i| i.index = 7).vector("inclusion_outside", "An index that is not in the tree.", malformed()),
        changed(&|i| i.event = span(9)).vector("inclusion_other_event", "The proof of event 2, with another event.", mismatch()),
        changed(&|i| i.proof[1][0] ^= 1).vector("inclusion_bit_flipped", "One bit of the proof is flipped.", mismatch()),
        changed(&|i| i.proof.push([7; 32])).vector("inclusion_too_long", "One hash more than the tree is deep.", malformed()),
        changed(&|i| _ = i.proof.pop()).vector("inclusion_too_short", "The last hash is missing.", malformed()),
        changed(&|i| i.proof = vec![[7; 32]; 65]).vector("inclusion_of_65_hashes", "A proof of 65 hashes.", malformed()),
        changed(&|i| {
            // leaf 2 || leaf 3, whose hash with 0x01 before it is a node of the tree.
            i.event = [all[2], all[3]].concat();
            i.proof.remove(0);
            i.index = 1;
        })
        .vector(
            "inclusion_of_a_node",
            "An inner node's two hashes are passed off as an event, with what is left of its path: the tree's size fixes the \
             path's length.",
            malformed(),
        ),
        node_as_event_of_a_forged_tree().vector(
            "inclusion_of_a_node_in_a_smaller_tree",
            "As before, under a checkpoint of half the size with the same root: leaves and nodes are hashed apart.",
            mismatch(),
        ),
    ]
}

/// Four leaves, and a checkpoint that says two: without 0x00 and 0x01 both trees would have one root.
struct ForgedSize(Inclusion, String);

impl ForgedSize {
    fn vector(self, name: &'static str, what: &'static str, expect: Expect) -> Vector {
        let Inclusion { event, index, proof, .. } = self.0;
        let keys = stream_keys(&World::new());
        Vector { name, what, input: Input::Inclusion { event, index, proof, checkpoint: self.1, keys }, expect }
    }
}

fn node_as_event_of_a_forged_tree() -> ForgedSize {
    let all = leaves(4);
    let world = World::new();
    let checkpoint = world.note_of(world.name.stream_origin(&S), 2, root_of(&all));
    let event = [all[0], all[1]].concat();
    let proof = vec![node_hash(&all[2], &all[3])];
    ForgedSize(Inclusion { event, index: 0, proof, size: 2 }, checkpoint)
}

fn consistency() -> Vec<Vector> {
    let vector = |name, what, (old, new): (u64, u64), change: &dyn Fn(&mut Vec<Hash>), expect| {
        let (old_leaves, new_leaves) = (leaves(old), leaves(new));
        let mut proof = if old <= new { prove_consistency(old, &new_leaves).expect("inside") } else { vec![] };
        change(&mut proof);
        let input = Input::Consistency {
            old: note(&old_leaves),
            new: note(&new_leaves),
            proof,
            keys: stream_keys(&World::new()),
        };
        Vector { name, what, input, expect }
    };
    let as_it_is = |_: &mut Vec<Hash>| {};
    vec![
        vector("consistency_valid", "A tree of 7 events continues one of 3.", (3, 7), &as_it_is, Expect::holds()),
        vector("consistency_valid_power", "A tree of 7 events continues one of 4.", (4, 7), &as_it_is, Expect::holds()),
        vector(
            "consistency_valid_same",
            "A tree continues itself: the proof is empty.",
            (7, 7),
            &as_it_is,
            Expect::holds(),
        ),
        vector("consistency_valid_from_nothing", "A tree continues the empty one.", (0, 7), &as_it_is, Expect::holds()),
        vector(
            "consistency_backwards",
            "A tree of 3 events does not continue one of 7.",
            (7, 3),
            &as_it_is,
            malformed(),
        ),
        vector("consistency_too_long", "One hash more than is asked for.", (3, 7), &|p| p.push([7; 32]), malformed()),
        vector("consistency_too_short", "The last hash is missing.", (3, 7), &|p| _ = p.pop(), malformed()),
        vector("consistency_empty", "No hashes at all.", (3, 7), &Vec::clear, malformed()),
        vector("consistency_bit_flipped", "One bit of the proof is flipped.", (3, 7), &|p| p[0][0] ^= 1, mismatch()),
        forked_trees(),
        two_logs(),
    ]
}

fn forked_trees() -> Vector {
    let mut other = leaves(3);
    other[2] = leaf_hash(&span(1_000));
    let new = leaves(7);
    let proof = prove_consistency(3, &new).expect("inside");
    Vector {
        name: "consistency_between_forks",
        what: "The checkpoint key has signed two histories: the old tree's event 2 is another than the new one's.",
        input: Input::Consistency { old: note(&other), new: note(&new), proof, keys: stream_keys(&World::new()) },
        expect: mismatch(),
    }
}

fn two_logs() -> Vector {
    let world = World::new();
    let origin = world.name.stream_origin(&T);
    let log = key("checkpoint").public().vkey(&origin);
    Vector {
        name: "consistency_between_two_logs",
        what: "The newer checkpoint is another stream's: its origin is not the one expected.",
        input: Input::Consistency {
            old: world.note_of(origin.clone(), 3, root_of(&leaves(3))),
            new: note(&leaves(7)),
            proof: prove_consistency(3, &leaves(7)).expect("inside"),
            keys: Keys { origin, log, cosigner: cosigner(&world) },
        },
        expect: Expect::root("checkpoint_refused", None),
    }
}
