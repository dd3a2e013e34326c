//! Numbers the actions of this process, signs their claims, and keeps what belongs onto a span until the span ends.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use opentelemetry::KeyValue;
use opentelemetry::trace::{SpanContext, SpanId};
use spanseal_authority::action::Action;
use spanseal_authority::claims::{BYTES_MAX, Business, Claims};

use crate::actor::Actor;
use crate::key::Key;
use crate::mirror;

/// The identity of one process towards the collector.
#[derive(Debug)]
pub(crate) struct Producer {
    id: [u8; 16],
    numbered: AtomicU64,
    audience: String,
    key: Key,
    actor: Actor,
    pub(crate) pending: Pending,
    pub(crate) ended: AtomicU64,
    pub(crate) exported: AtomicU64,
}

/// One action that is to be signed for.
pub(crate) struct Statement<'a> {
    pub(crate) span: &'a SpanContext,
    pub(crate) parent: SpanId,
    pub(crate) actor: &'a Actor,
    pub(crate) action: Action,
    pub(crate) business: Business,
    pub(crate) approval: Option<&'a str>,
}

impl Producer {
    pub(crate) fn new(audience: String, key: Key, actor: Actor) -> Result<Self, getrandom::Error> {
        Ok(Self {
            id: random()?,
            numbered: AtomicU64::new(0),
            audience,
            key,
            actor,
            pending: Pending::default(),
            ended: AtomicU64::new(0),
            exported: AtomicU64::new(0),
        })
    }

    /// Returns who acts where nobody else is in scope.
    pub(crate) fn actor(&self) -> &Actor {
        &self.actor
    }

    /// Returns the attributes that say and prove what `statement` says: the signed claims, then readable mirrors.
    ///
    /// The number is taken only when the claims can be made, so that a gap always means a loss.
    ///
    /// # Errors
    /// No random bytes, or more text than claims may have.
    pub(crate) fn sign(&self, statement: Statement<'_>) -> Result<Vec<KeyValue>, NotSigned> {
        let clearance = random().map_err(NotSigned::Random)?;
        let actor = statement.actor;
        let mut claims = Claims {
            audience: self.audience.clone(),
            issued_at: now_seconds(),
            producer: self.id,
            sequence: u64::MAX >> 11, // stands in while the length is checked
            clearance,
            trace: statement.span.trace_id().to_bytes(),
            span: statement.span.span_id().to_bytes(),
            parent: (statement.parent != SpanId::INVALID).then(|| statement.parent.to_bytes()),
            action_digest: statement.action.digest(),
            action: statement.action,
            actor: actor.party().clone(),
            owner: actor.owner_id().map(str::to_owned),
            initiator: actor.initiator().cloned(),
            delegation: actor.delegation().to_vec(),
            business: statement.business,
            policy: None,
            approval: statement.approval.map(str::to_owned),
        };
        let bytes = claims.to_json().canonical().len() * 4 / 3 + HEADER_AND_SIGNATURE_BYTES;
        if bytes > BYTES_MAX {
            return Err(NotSigned::TooLong { bytes });
        }
        claims.sequence = self.numbered.fetch_add(1, Ordering::Relaxed) + 1;
        let token = claims.sign(actor.own_key().unwrap_or(&self.key).signing());
        Ok(mirror::attributes(token, &claims))
    }
}

/// Why nothing was signed.
#[derive(Debug)]
pub(crate) enum NotSigned {
    Random(getrandom::Error),
    TooLong { bytes: usize },
}

/// What belongs onto spans that have not ended, by span id. A span's id is random, so its bytes spread well.
#[derive(Debug, Default)]
pub(crate) struct Pending([Mutex<HashMap<SpanId, Belongings>>; 16]);

/// What belongs onto one span.
#[derive(Debug)]
pub(crate) enum Belongings {
    /// The actor in scope when the span began.
    Actor(Actor),
    /// Attributes, signed claims among them.
    Signed(Vec<KeyValue>),
}

impl Pending {
    pub(crate) fn put(&self, span: SpanId, belongings: Belongings) {
        self.shard(span).insert(span, belongings);
    }

    pub(crate) fn take(&self, span: SpanId) -> Option<Belongings> {
        self.shard(span).remove(&span)
    }

    /// Adds an attribute to those of a span that has some.
    pub(crate) fn add(&self, span: SpanId, attribute: KeyValue) {
        if let Some(Belongings::Signed(attributes)) = self.shard(span).get_mut(&span) {
            attributes.push(attribute);
        }
    }

    fn shard(&self, span: SpanId) -> std::sync::MutexGuard<'_, HashMap<SpanId, Belongings>> {
        let shard = usize::from(span.to_bytes()[7]) % self.0.len();
        self.0[shard].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns `N` bytes from the operating system.
pub(crate) fn random<const N: usize>() -> Result<[u8; N], getrandom::Error> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes)?;
    Ok(bytes)
}

fn now_seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// At most: two dots, a header of 100 bytes and a signature of 64, in base64url.
const HEADER_AND_SIGNATURE_BYTES: usize = 256;
