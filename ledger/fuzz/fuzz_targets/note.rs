//! A note that parses is its text and its lines, byte for byte; so is a checkpoint.
#![no_main]

use libfuzzer_sys::fuzz_target;
use spanseal_ledger::checkpoint::Checkpoint;
use spanseal_ledger::note::Note;

fuzz_target!(|bytes: &[u8]| {
    let Ok(note) = Note::parse(bytes) else { return };
    assert!(!note.signatures.is_empty() && note.text.ends_with('\n'));
    let text = core::str::from_utf8(bytes).expect("a note is UTF-8");
    let lines =
        text.strip_prefix(note.text).and_then(|rest| rest.strip_prefix('\n')).expect("text, then an empty line");
    assert_eq!(lines.lines().count(), note.signatures.len());
    if let Ok(checkpoint) = Checkpoint::parse(note.text) {
        assert_eq!(checkpoint.text(), note.text);
    }
});
