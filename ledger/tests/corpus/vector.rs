//! What a vector file says.

use base64ct::{Base64, Encoding};
use spanseal_ledger::StreamId;

use super::json::Json;
use super::world::{Log, LogStream};

/// One file, one verdict.
pub struct Vector {
    pub name: &'static str,
    /// Who attacks, with which key, and which check notices.
    pub what: &'static str,
    pub input: Input,
    pub expect: Expect,
}

pub enum Input {
    Log(Box<LogInput>),
    Inclusion { event: Vec<u8>, index: u64, proof: Vec<[u8; 32]>, checkpoint: String, keys: Keys },
    Consistency { old: String, new: String, proof: Vec<[u8; 32]>, keys: Keys },
    Note { note: String, keys: Keys },
}

pub struct LogInput {
    pub pinned: bool,
    pub now: u64,
    pub max_age: u64,
    pub trust: Option<String>,
    pub log: Log,
}

/// The keys of a note: its origin, and the verifier keys of log and cosigner.
#[derive(Clone)]
pub struct Keys {
    pub origin: String,
    pub log: String,
    pub cosigner: String,
}

/// The verdict.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expect {
    pub exit: u8,
    pub code: Option<&'static str>,
    pub stream: Option<StreamId>,
    pub index: Option<u64>,
    pub complete_to: Option<u64>,
}

impl Expect {
    pub fn ok(complete_to: u64) -> Expect {
        Expect { exit: 0, code: None, stream: None, index: None, complete_to: Some(complete_to) }
    }

    pub fn holds() -> Expect {
        Expect { exit: 0, code: None, stream: None, index: None, complete_to: None }
    }

    /// Tampered with, in a stream.
    pub fn stream(code: &'static str, stream: StreamId, index: impl Into<Option<u64>>) -> Expect {
        Expect { exit: 1, code: Some(code), stream: Some(stream), index: index.into(), complete_to: None }
    }

    /// Tampered with, in the root log.
    pub fn root(code: &'static str, index: impl Into<Option<u64>>) -> Expect {
        Expect { exit: 1, code: Some(code), stream: None, index: index.into(), complete_to: None }
    }

    /// Not checked.
    pub fn unchecked(code: &'static str) -> Expect {
        Expect { exit: 2, ..Expect::root(code, None) }
    }

    /// Not checked, at a root leaf.
    pub fn unchecked_at(code: &'static str, index: u64) -> Expect {
        Expect { exit: 2, ..Expect::root(code, index) }
    }

    /// With a range that holds in spite of it.
    pub fn complete_to(self, size: u64) -> Expect {
        Expect { complete_to: Some(size), ..self }
    }

    pub fn exit(self, exit: u8) -> Expect {
        Expect { exit, ..self }
    }
}

impl Vector {
    /// The file's content.
    pub fn to_json(&self) -> String {
        let mut file = vec![("name", self.name.into()), ("what", self.what.into())];
        file.extend(self.input.fields());
        file.push(("expect", self.expect_json()));
        Json::Object(file).pretty()
    }

    fn expect_json(&self) -> Json {
        let Expect { exit, code, stream, index, complete_to } = self.expect.clone();
        let mut expect = vec![("exit", u64::from(exit).into()), ("code", code.into())];
        if let Input::Log(_) = self.input {
            let stream = stream.map(|stream| stream.to_string());
            expect.extend([("stream", stream.into()), ("index", index.into()), ("complete_to", complete_to.into())]);
        }
        Json::Object(expect)
    }
}

impl Input {
    fn fields(&self) -> Vec<(&'static str, Json)> {
        match self {
            Input::Log(input) => input.fields(),
            Input::Inclusion { event, index, proof, checkpoint, keys } => vec![
                ("kind", "inclusion".into()),
                ("keys", keys.json()),
                ("checkpoint", checkpoint.as_str().into()),
                ("event", base64(event).into()),
                ("index", (*index).into()),
                ("proof", hashes(proof)),
            ],
            Input::Consistency { old, new, proof, keys } => vec![
                ("kind", "consistency".into()),
                ("keys", keys.json()),
                ("old", old.as_str().into()),
                ("new", new.as_str().into()),
                ("proof", hashes(proof)),
            ],
            Input::Note { note, keys } => {
                vec![("kind", "note".into()), ("keys", keys.json()), ("note", note.as_str().into())]
            }
        }
    }
}

impl LogInput {
    fn fields(&self) -> Vec<(&'static str, Json)> {
        let root_log = vec![("leaves", base64s(&self.log.leaves)), ("checkpoint", self.log.note.clone().into())];
        vec![
            ("kind", "log".into()),
            ("anchor", if self.pinned { "pinned".into() } else { "self".into() }),
            ("now", self.now.into()),
            ("max_age", self.max_age.into()),
            ("trust", self.trust.clone().into()),
            ("root_log", Json::Object(root_log)),
            ("streams", Json::List(self.log.streams.iter().map(stream_json).collect())),
        ]
    }
}

fn stream_json(stream: &LogStream) -> Json {
    let mut fields = vec![("stream", stream.id.to_string().into()), ("batches", base64s(&stream.batches))];
    fields.extend(stream.damaged_at.map(|place| ("damaged_at", (place as u64).into())));
    fields.extend([("torn_bytes", stream.torn_bytes.into()), ("checkpoint", stream.note.clone().into())]);
    Json::Object(fields)
}

impl Keys {
    fn json(&self) -> Json {
        let Keys { origin, log, cosigner } = self.clone();
        Json::Object(vec![("origin", origin.into()), ("log", log.into()), ("cosigner", cosigner.into())])
    }
}

fn hashes(proof: &[[u8; 32]]) -> Json {
    proof.iter().map(|hash| base64(hash)).collect::<Vec<_>>().into()
}

fn base64s(all: &[Vec<u8>]) -> Json {
    all.iter().map(|bytes| base64(bytes)).collect::<Vec<_>>().into()
}

pub fn base64(bytes: &[u8]) -> String {
    Base64::encode_string(bytes)
}

pub fn from_base64(text: &str) -> Vec<u8> {
    Base64::decode_vec(text).expect("base64")
}
