//! What the configuration says about identity and approval, as it stands in the file's `[authority]` section.

use core::fmt;

use serde::{Deserialize, Serialize};

use crate::key::{KeyError, PublicKey};
use crate::members::is_text;

/// The `[authority]` section as written. [`crate::Authority::new`] checks it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// For whom claims and approvals must be made. Not set: the deployment's name.
    pub audience: Option<String>,
    /// How far the clocks of senders, approvers and the collector may lie apart, in seconds.
    pub skew_seconds: u64,
    /// Which actions need a decision.
    pub governed: Governed,
    /// Who may act, and the keys by which they are known.
    pub actor: Vec<Actor>,
    /// Who may approve, and the keys by which they are known.
    pub approver: Vec<Approver>,
    /// Whose enrolment receipts count, beside the collector's own.
    pub enroller: Vec<Enroller>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            audience: None,
            skew_seconds: 60,
            governed: Governed::default(),
            actor: Vec::new(),
            approver: Vec::new(),
            enroller: Vec::new(),
        }
    }
}

/// Which actions are governed: those of these services and those of these types.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Governed {
    /// Values of `service.name`.
    pub services: Vec<String>,
    /// Types of actions: `execute_tool`, `invoke_agent`, `tools/call`, or what `provenance.action.type` says.
    pub actions: Vec<String>,
}

/// One key of one actor. An actor with several keys stands several times.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Actor {
    /// The actor's name, for example `spiffe://acme.example/agent/deployer`.
    pub id: String,
    /// Who answers for it. Not set: claims about the owner stay asserted.
    #[serde(default)]
    pub owner: Option<String>,
    /// `ed25519:<base64>`
    pub key: String,
}

/// One key of one approver. An approver with several keys stands several times.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Approver {
    /// The approver's name, as initiators are named: whoever is both is recognised by it.
    pub name: String,
    /// `ed25519:<base64>`
    pub key: String,
}

/// One key of one collector that enrols keys of actors.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Enroller {
    /// The collector's name, for people.
    pub name: String,
    /// `ed25519:<base64>`
    pub key: String,
}

/// Most seconds of skew that may be configured.
pub const SKEW_SECONDS_MAX: u64 = 3600;

/// Everything that is wrong with a [`Config`], in the order of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistakes(pub Vec<Mistake>);

/// One setting that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// Inside the section, for example `actor[0].key`.
    pub path: String,
    /// The value as written.
    pub value: String,
    /// What is wrong with it.
    pub fault: Fault,
}

/// What is wrong with one setting, and the remedy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// Empty, too long or with control characters.
    #[error("not a name; write 1 to 1024 bytes without control characters")]
    NotAName,
    /// Beyond [`SKEW_SECONDS_MAX`].
    #[error("too far apart; write 0 to 3600, and set the clocks")]
    Skew,
    /// Not a public key.
    #[error("the key {0}; write `ed25519:` and the base64 of its 32 bytes")]
    Key(KeyError),
    /// The key stands elsewhere.
    #[error("{earlier} has this key already; give each its own")]
    KeyShared {
        /// For example `actor[0]`.
        earlier: String,
    },
    /// An actor's owner differs between its keys.
    #[error("{earlier} names another owner of the same actor; name one")]
    OwnerDiffers {
        /// For example `actor[0]`.
        earlier: String,
    },
    /// An approver has an actor's name.
    #[error("{earlier} is an actor of this name, and actors cannot approve; name a person")]
    ActorApproves {
        /// For example `actor[0]`.
        earlier: String,
    },
}

impl fmt::Display for Mistakes {
    /// One mistake a line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, Mistake { path, value, fault }) in self.0.iter().enumerate() {
            write!(f, "{}{path} = {value:?}: {fault}", if n > 0 { "\n" } else { "" })?;
        }
        Ok(())
    }
}

impl std::error::Error for Mistakes {}

impl Config {
    /// Returns the same configuration in the one form that is sealed: the audience named, lists sorted, repeats gone.
    pub(crate) fn normal(&self, deployment: &str) -> Config {
        let mut normal = self.clone();
        normal.audience.get_or_insert_with(|| deployment.to_owned());
        sort(&mut normal.governed.services);
        sort(&mut normal.governed.actions);
        sort(&mut normal.actor);
        sort(&mut normal.approver);
        sort(&mut normal.enroller);
        normal
    }

    /// Returns the keys of actors, of approvers and of enrollers, in order.
    pub(crate) fn keys(&self) -> Result<[Vec<PublicKey>; 3], Mistakes> {
        let mut mistakes = Vec::new();
        let mut note =
            |path: String, value: &str, fault: Fault| mistakes.push(Mistake { path, value: value.to_owned(), fault });
        self.check_names(&mut note);
        let mut known = Vec::new();
        let mut key = |path: String, text: &str| {
            let (holder, at) = (path, |holder: &str| format!("{holder}.key"));
            match PublicKey::parse(text) {
                Err(error) => note(at(&holder), text, Fault::Key(error)),
                Ok(key) => match known.iter().find(|(_, other)| *other == key) {
                    Some((earlier, _)) => note(at(&holder), text, Fault::KeyShared { earlier: String::clone(earlier) }),
                    None => known.push((holder, key)),
                },
            }
        };
        self.actor.iter().enumerate().for_each(|(n, actor)| key(format!("actor[{n}]"), &actor.key));
        self.approver.iter().enumerate().for_each(|(n, approver)| key(format!("approver[{n}]"), &approver.key));
        self.enroller.iter().enumerate().for_each(|(n, enroller)| key(format!("enroller[{n}]"), &enroller.key));
        if !mistakes.is_empty() {
            return Err(Mistakes(mistakes));
        }
        let mut keys = known.into_iter().map(|(_, key)| key);
        Ok([self.actor.len(), self.approver.len(), self.enroller.len()]
            .map(|count| keys.by_ref().take(count).collect()))
    }

    fn check_names(&self, note: &mut impl FnMut(String, &str, Fault)) {
        let mut name = |path: String, value: &str| {
            if !is_text(value) {
                note(path, value, Fault::NotAName);
            }
        };
        if let Some(audience) = &self.audience {
            name("audience".into(), audience);
        }
        for (list, values) in [("services", &self.governed.services), ("actions", &self.governed.actions)] {
            values.iter().enumerate().for_each(|(n, value)| name(format!("governed.{list}[{n}]"), value));
        }
        for (n, actor) in self.actor.iter().enumerate() {
            name(format!("actor[{n}].id"), &actor.id);
            if let Some(owner) = &actor.owner {
                name(format!("actor[{n}].owner"), owner);
            }
        }
        for (n, approver) in self.approver.iter().enumerate() {
            name(format!("approver[{n}].name"), &approver.name);
        }
        for (n, enroller) in self.enroller.iter().enumerate() {
            name(format!("enroller[{n}].name"), &enroller.name);
        }
        self.check_consistency(note);
    }

    fn check_consistency(&self, note: &mut impl FnMut(String, &str, Fault)) {
        if self.skew_seconds > SKEW_SECONDS_MAX {
            note("skew_seconds".into(), &self.skew_seconds.to_string(), Fault::Skew);
        }
        for (n, actor) in self.actor.iter().enumerate() {
            let earlier = self.actor[..n].iter().position(|other| other.id == actor.id && other.owner != actor.owner);
            if let Some(earlier) = earlier {
                let earlier = format!("actor[{earlier}]");
                note(
                    format!("actor[{n}].owner"),
                    actor.owner.as_deref().unwrap_or(""),
                    Fault::OwnerDiffers { earlier },
                );
            }
        }
        for (n, approver) in self.approver.iter().enumerate() {
            if let Some(earlier) = self.actor.iter().position(|actor| actor.id == approver.name) {
                let earlier = format!("actor[{earlier}]");
                note(format!("approver[{n}].name"), &approver.name, Fault::ActorApproves { earlier });
            }
        }
    }
}

fn sort<T: Ord>(list: &mut Vec<T>) {
    list.sort();
    list.dedup();
}
