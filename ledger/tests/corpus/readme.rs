//! The table in `ledger/vectors/README.md`: which vectors show which code.

use std::collections::BTreeMap;

use spanseal_ledger::verify::{Class, Code};

use super::Vector;

/// Returns the README of the vectors.
pub fn readme(vectors: &[Vector]) -> String {
    let mut by_code: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for vector in vectors {
        by_code.entry(vector.expect.code.unwrap_or("")).or_default().push(vector.name);
    }
    let mut text = String::from(HEAD);
    text.push_str("| code | class | vectors |\n|---|---|---|\n");
    let names = |code: &str| by_code.get(code).map_or("-".to_string(), |names| names.join(", "));
    text.push_str(&format!("| none | | {} |\n", names("")));
    for code in Code::ALL.iter().filter(|code| !is_elsewhere(**code)) {
        let class = match code.class() {
            Class::Tampered => "tampered",
            Class::Unchecked => "unchecked",
            Class::Note => "note",
        };
        text.push_str(&format!("| `{code}` | {class} | {} |\n", names(code.as_str())));
    }
    text
}

/// Codes about protobuf, payload records and segments, which the ledger does not read: the vectors of the first are in
/// `schemas/vectors/`, the tests in `pipelines/`.
pub fn is_elsewhere(code: Code) -> bool {
    matches!(code, Code::Envelope | Code::PayloadMismatch | Code::PayloadMissing | Code::SupersededTail)
}

const HEAD: &str = "\
# Vectors of the ledger

One file, one verdict. Each is a small log, a note or a proof, made with keys that anyone can make again, and the verdict
that a verifier of `docs/format.md` must reach; `what` says who attacks, with which key, and which check notices. Written by
`cargo run -p spanseal-ledger --example make_vectors`; `cargo test -p spanseal-ledger --test vectors` fails when a file, or
this page, is not what that writes, and when the verdict is another.

`kind` is `log`, `inclusion`, `consistency` or `note`. Binary fields are base64.

- **log**: `root_log.leaves` and each stream's `batches`, in order, with their checkpoint notes (null: none); before the batch
  number `damaged_at`, where that stands, is a record that cannot be read; `torn_bytes` bytes of an incomplete record follow the
  last batch. `trust` is a trust file or null, `now` and `max_age` are seconds. The bodies of the events are not protobuf.
  Expected: the answer's `anchor`; `exit`; `code`, `stream` and `index` of the fault to name (section 14); and `complete_to`:
  the largest pinned size to which a stream is complete (section 14, step 4), null if none is.
- **note**: `note` is verified by the two verifier keys in `keys` under the origin there. The deployment is the origin up to its
  last `/`.
- **inclusion**, **consistency**: the checkpoints are verified likewise; then `event` stands at `index` of the log of `checkpoint`,
  or the log of `new` continues that of `old`.

";
