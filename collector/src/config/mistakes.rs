//! What is wrong with a configuration, all of it at once.

use std::fmt;

/// Every mistake found, in the order in which they were found; at least one when it is an error.
#[derive(Debug, Default, PartialEq)]
pub struct Mistakes(Vec<Mistake>);

/// One setting that cannot be used.
#[derive(Debug, Clone, PartialEq)]
pub struct Mistake {
    /// For example `receive.listen[0]`; empty when the text is not TOML.
    pub path: String,
    /// The value as TOML; empty when there is none.
    pub value: String,
    pub fault: Fault,
}

/// What is wrong with one setting, and the remedy.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    #[error("{message}")]
    Syntax { message: String },
    #[error("there is no such setting; known here: {known}")]
    Unknown { known: String },
    #[error("not {expected}; write {expected}")]
    WrongType { expected: String },
    #[error("must be set")]
    Missing,
    #[error("out of range; write a number from {min} to {max}")]
    OutOfRange { min: u64, max: u64 },
    #[error("below {other}, which is {least}; raise this or lower that")]
    BelowOther { other: &'static str, least: u64 },
    #[error("no address; write IP:PORT, for example 127.0.0.1:4317, and port 0 for any free port")]
    NotAnAddress,
    #[error("no address in the list; name at least one")]
    NoAddress,
    #[error("{earlier} has it already; give each its own")]
    Repeated { earlier: String },
    #[error("no deployment name; write 1 to 128 visible ASCII characters, none of them '+'")]
    NotADeploymentName,
    #[error("no name; write 1 to 64 of a-z, 0-9, '-' and '_'")]
    NotAName,
    #[error("no attribute key; write at least one character")]
    NotAKey,
    #[error("no attribute key; write one, or how some begin with one '*' at the end, for example \"k8s.*\"")]
    NotAKeyPattern,
    #[error("no URL; write http:// or https:// and a host, for example http://127.0.0.1:4317")]
    NotAUrl,
    #[error(
        "no level, or one beside a comma; write off, error, warn, info, debug or trace, and where a part differs its \
         target too, for example \"info,spanseal_collector=debug\""
    )]
    NotALevel,
    #[error("no signal in the list; name at least one of \"traces\", \"logs\" and \"metrics\"")]
    NoSignal,
    #[error(
        "where logs and metrics go cannot be told from this path; end it in /v1/traces, or set signals = [\"traces\"]"
    )]
    NoPathOfOtlp,
    #[error("has no {{event}}; write it where the event id belongs")]
    NoEventInUrl,
    #[error("no HTTP header name; write for example \"authorization\"")]
    NotAHeaderName,
    #[error("no HTTP header value; write visible ASCII characters")]
    NotAHeaderValue,
    #[error("{given} of value, file and env are set; set one")]
    NotOneSource { given: usize },
    #[error("a secret does not belong into a configuration; write it to a file and set `file`, or set `env`")]
    SecretInPlain,
    #[error(transparent)]
    Authority(#[from] spanseal_authority::config::Fault),
}

impl Mistakes {
    /// Notes a mistake, unless one is known at that path: a second would only be its consequence.
    pub(super) fn note(&mut self, path: impl Into<String>, value: impl ToString, fault: Fault) {
        let path = path.into();
        if !self.has(&path) {
            self.0.push(Mistake { path, value: value.to_string(), fault });
        }
    }

    pub(super) fn has(&self, path: &str) -> bool {
        self.0.iter().any(|mistake| mistake.path == path)
    }

    pub(super) fn none(self) -> Result<(), Self> {
        if self.0.is_empty() { Ok(()) } else { Err(self) }
    }

    pub fn iter(&self) -> impl Iterator<Item = &Mistake> {
        self.0.iter()
    }
}

impl fmt::Display for Mistakes {
    /// One mistake a line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, mistake) in self.0.iter().enumerate() {
            let newline = if n > 0 { "\n" } else { "" };
            write!(f, "{newline}{mistake}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.path.as_str(), self.value.as_str()) {
            ("", _) => write!(f, "{}", self.fault),
            (path, "") => write!(f, "{path}: {}", self.fault),
            (path, value) => write!(f, "{path} = {value}: {}", self.fault),
        }
    }
}

impl std::error::Error for Mistakes {}
