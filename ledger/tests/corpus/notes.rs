//! Notes by themselves: form, signatures and cosignatures.

use spanseal_ledger::Role;
use spanseal_ledger::checkpoint::Checkpoint;
use spanseal_ledger::key::{COSIGNATURE, ED25519, SecretKey, Signer, key_id};

use super::case::S;
use super::scalar::plus_l;
use super::vector::{Expect, Input, Keys, Vector, base64, from_base64};
use super::world::{BEGIN_SECONDS, World, key};

/// The keys of stream notes in every vector.
pub fn stream_keys(world: &World) -> Keys {
    let origin = world.name.stream_origin(&S);
    let log = key("checkpoint").public().vkey(&origin);
    Keys { log, origin, cosigner: cosigner(world) }
}

pub fn cosigner(world: &World) -> String {
    key("cosign").public().vkey(&world.name.role_name(Role::Cosign))
}

fn checkpoint(world: &World) -> Checkpoint {
    Checkpoint { origin: world.name.stream_origin(&S), size: 7, root: [7; 32] }
}

fn honest() -> String {
    let world = World::new();
    let Checkpoint { origin, size, root } = checkpoint(&world);
    world.note_of(origin, size, root)
}

/// A line of the kind that notes have.
fn line(name: &str, id: [u8; 4], signature: &[u8]) -> String {
    format!("\u{2014} {name} {}\n", base64(&[&id, signature].concat()))
}

/// A note over any text, with lines by the right keys.
fn signed(text: &str) -> String {
    let world = World::new();
    let (log, cosigner): (SecretKey, SecretKey) = (key("checkpoint"), key("cosign"));
    let origin = world.name.stream_origin(&S);
    let cosign_name = world.name.role_name(Role::Cosign);
    let id = key_id(&origin, ED25519, log.public().as_bytes()).note_id();
    let cosign_id = key_id(&cosign_name, COSIGNATURE, cosigner.public().as_bytes()).note_id();
    let message = format!("cosignature/v1\ntime {BEGIN_SECONDS}\n{text}");
    let cosignature = [&BEGIN_SECONDS.to_be_bytes()[..], &cosigner.sign(message.as_bytes())].concat();
    let first = line(&origin, id, &log.sign(text.as_bytes()));
    format!("{text}\n{first}{}", line(&cosign_name, cosign_id, &cosignature))
}

pub fn vectors() -> Vec<Vector> {
    [accepted(), form(), lines()].into_iter().flatten().collect()
}

fn note(name: &'static str, what: &'static str, note: String, expect: Expect) -> Vector {
    Vector { name, what, input: Input::Note { note, keys: stream_keys(&World::new()) }, expect }
}

fn refused(name: &'static str, what: &'static str, text: String) -> Vector {
    note(name, what, text, Expect::root("checkpoint_refused", None))
}

fn accepted() -> Vec<Vector> {
    let text = checkpoint(&World::new()).text();
    let stranger = line("witness.example", [1, 2, 3, 4], &[7; 72]);
    vec![
        note("note_valid", "A checkpoint with a cosignature.", honest(), Expect::holds()),
        note(
            "note_with_a_strangers_line",
            "A line by a name that is not known is ignored.",
            honest() + &stranger,
            Expect::holds(),
        ),
        note(
            "note_with_a_stray_key_id",
            "A line under the log's name with a key id that is not known is ignored.",
            honest() + &line(&World::new().name.stream_origin(&S), [1, 2, 3, 4], &[7; 64]),
            Expect::holds(),
        ),
        note(
            "note_of_another_deployment",
            "A note whose origin is another deployment's.",
            signed(&text.replace("/agents/", "/others/")),
            Expect::root("wrong_deployment", None),
        ),
    ]
}

fn form() -> Vec<Vector> {
    let text = checkpoint(&World::new()).text();
    let big = format!("{text}{}", "x\n".repeat(9_000));
    vec![
        refused("note_oversized", "A note of more than 16 KiB.", signed(&big)),
        refused("note_with_nul", "A note with a NUL in its text, signed.", signed(&text.replace("7\n", "7\0\n"))),
        refused("note_with_crlf", "A note with CRLF line ends, signed.", signed(&text.replace('\n', "\r\n"))),
        refused(
            "note_with_an_extension_line",
            "A note with a fourth line of text, signed.",
            signed(&format!("{text}more\n")),
        ),
        refused(
            "note_with_a_leading_zero",
            "A size with a leading zero, signed.",
            signed(&text.replace("\n7\n", "\n07\n")),
        ),
        refused("note_with_a_signed_size", "A size with a sign, signed.", signed(&text.replace("\n7\n", "\n+7\n"))),
        refused(
            "note_with_a_size_over_64_bits",
            "A size of 2^64, signed.",
            signed(&text.replace("\n7\n", "\n18446744073709551616\n")),
        ),
        refused(
            "note_with_loose_base64",
            "The root's base64 has unused bits set, signed.",
            signed(&text.replace("Bwc=", "Bwd=")),
        ),
        refused("note_with_a_short_root", "A root of 31 bytes, signed.", signed(&short_root(&text))),
        refused("note_without_its_last_newline", "The last newline is missing.", honest().trim_end().to_string()),
        refused("note_without_an_empty_line", "The empty line is missing.", honest().replace("\n\n", "\n")),
        refused("note_with_a_broken_line", "A signature line without a dash.", honest() + "witness.example AQIDBAU=\n"),
        refused("note_empty", "Nothing at all.", String::new()),
    ]
}

fn short_root(text: &str) -> String {
    text.replace(&base64(&[7; 32]), &base64(&[7; 31]))
}

fn lines() -> Vec<Vector> {
    let honest = honest();
    let (text, signatures) = honest.split_once("\n\n").expect("a note");
    let (log, cosigner) = signatures.split_once('\n').expect("two lines");
    let log = format!("{log}\n");
    let write = |lines: &[&str]| format!("{text}\n\n{}", lines.concat());
    vec![
        refused("note_without_a_cosignature", "A bare checkpoint: there is no time in it.", write(&[&log])),
        refused("note_without_the_logs_signature", "A cosignature alone.", write(&[cosigner])),
        refused("note_with_a_line_twice", "The log's line stands twice.", write(&[&log, &log, cosigner])),
        refused(
            "note_with_two_cosignature_times",
            "Two cosignatures by the cosigner, of two times.",
            write(&[&log, cosigner, &later_cosignature()]),
        ),
        refused(
            "note_backdated",
            "The cosignature's time is changed.",
            write(&[&log, &changed(cosigner, |bytes| bytes[11] ^= 1)]),
        ),
        refused(
            "note_signature_bit_flipped",
            "One bit of the log's signature.",
            write(&[&changed(&log, |bytes| bytes[40] ^= 1), cosigner]),
        ),
        refused(
            "note_signature_with_s_plus_l",
            "The log's signature with s + L for s.",
            write(&[
                &changed(&log, |bytes| {
                    let twin = plus_l(bytes[4..].try_into().expect("64 bytes"));
                    bytes[4..].copy_from_slice(&twin);
                }),
                cosigner,
            ]),
        ),
        refused("note_of_another_size", "The size is changed.", honest.replace("\n7\n", "\n8\n")),
    ]
}

/// A cosignature of the same text, one second later.
fn later_cosignature() -> String {
    let mut world = World::new();
    world.tick();
    let Checkpoint { origin, size, root } = checkpoint(&world);
    let note = world.note_of(origin, size, root);
    let last = note.trim_end().rsplit('\n').next().expect("a line");
    format!("{last}\n")
}

/// The line with other bytes.
fn changed(line: &str, change: impl FnOnce(&mut Vec<u8>)) -> String {
    let (name, encoded) = line.trim_end().rsplit_once(' ').expect("a signature line");
    let mut bytes = from_base64(encoded);
    change(&mut bytes);
    format!("{name} {}\n", base64(&bytes))
}
