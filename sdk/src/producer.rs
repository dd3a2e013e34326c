//! Numbers the actions of this process, signs their claims and closings, and keeps what belongs onto a span until it ends.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hyper::Uri;
use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt};
use opentelemetry::{Context, KeyValue};
use spanseal_authority::action::{Action, Digest};
use spanseal_authority::claims::{self, BYTES_MAX, Business, Claims};
use spanseal_authority::closing::{Closing, Outcome};
use spanseal_authority::end::End;
use spanseal_schemas::names;
use tokio::sync::{oneshot, watch};

use crate::actor::Actor;
use crate::approval::Approvers;
use crate::http::Http;
use crate::key::Key;
use crate::mirror;
use crate::random::random;

/// The identity of one process towards the collector.
#[derive(Debug)]
pub(crate) struct Producer {
    id: [u8; 16],
    numbered: AtomicU64,
    standing: watch::Receiver<Result<Standing, String>>,
    actor: Actor,
    runtime: Option<claims::Runtime>,
    pub(crate) http: Http,
    pub(crate) uses: Uses,
    pub(crate) pending: Pending,
    pub(crate) ended: AtomicU64,
    pub(crate) exported: AtomicU64,
}

/// As whom the collector knows the program: what signing needs.
#[derive(Clone, Debug)]
pub(crate) struct Standing {
    pub(crate) audience: Arc<str>,
    pub(crate) key: Key,
    pub(crate) enrolment: Option<Arc<str>>,
    pub(crate) credential: Option<claims::Credential>,
    pub(crate) approvers: Arc<Approvers>,
    /// Where the collector takes requests for approval.
    pub(crate) desk: Option<Uri>,
}

/// One action that is to be signed for.
pub(crate) struct Statement<'a> {
    pub(crate) standing: &'a Standing,
    pub(crate) span: &'a SpanContext,
    pub(crate) authorize: Option<SpanId>,
    pub(crate) parent: SpanId,
    pub(crate) actor: &'a Actor,
    pub(crate) action: Action,
    pub(crate) business: Business,
    pub(crate) policy: Option<claims::Policy>,
    pub(crate) approval: Option<&'a str>,
    pub(crate) path: Vec<String>,
    pub(crate) refused: Option<claims::Refusal>,
}

/// What [`Producer::sign`] made: the attributes that say and prove it, and what its closing needs.
#[derive(Clone, Debug)]
pub(crate) struct Signed {
    pub(crate) attributes: Vec<KeyValue>,
    closing: Closing,
    key: Key,
    started: Option<SystemTime>,
    closed: bool,
    /// Where the span is that the clearance will end.
    open: Option<Context>,
}

impl Standing {
    /// Returns the standing under which this actor signs: its own key's, where it has one.
    pub(crate) fn of(&self, actor: &Actor) -> Self {
        match actor.own_key() {
            Some(key) => Self { key: key.clone(), enrolment: None, credential: None, ..self.clone() },
            None => self.clone(),
        }
    }
}

impl Producer {
    pub(crate) fn new(
        actor: Actor,
        runtime: Option<claims::Runtime>,
        http: Http,
        standing: watch::Receiver<Result<Standing, String>>,
    ) -> Result<Self, getrandom::Error> {
        Ok(Self {
            id: random()?,
            numbered: AtomicU64::new(0),
            standing,
            actor,
            runtime,
            http,
            uses: Uses::default(),
            pending: Pending::default(),
            ended: AtomicU64::new(0),
            exported: AtomicU64::new(0),
        })
    }

    /// Returns who acts where nobody else is in scope.
    pub(crate) fn actor(&self) -> &Actor {
        &self.actor
    }

    /// Returns the program's standing, waiting a while for it at the start.
    ///
    /// # Errors
    /// Why there is none yet.
    pub(crate) async fn standing(&self) -> Result<Standing, String> {
        if let Some(known) = self.standing_now() {
            return Ok(known);
        }
        let mut standing = self.standing.clone();
        let known = tokio::time::timeout(STANDING_WAIT, standing.wait_for(Result::is_ok)).await;
        match known {
            Ok(Ok(known)) => known.clone(),
            Ok(Err(_)) | Err(_) => self.standing.borrow().clone(),
        }
    }

    /// Returns the program's standing if there is one now.
    pub(crate) fn standing_now(&self) -> Option<Standing> {
        self.standing.borrow().as_ref().ok().cloned()
    }

    /// Returns what says and proves `statement`: the signed claims, then readable mirrors.
    ///
    /// The number is taken only when the claims can be made, so that a gap always means a loss.
    ///
    /// # Errors
    /// No random bytes, or more text than claims may have.
    pub(crate) fn sign(&self, statement: Statement<'_>) -> Result<Signed, NotSigned> {
        let clearance = random().map_err(NotSigned::Random)?;
        let (actor, standing) = (statement.actor, statement.standing);
        let mut claims = Claims {
            audience: standing.audience.to_string(),
            issued_at: now_seconds(),
            producer: self.id,
            sequence: u64::MAX >> 11, // stands in while the length is checked
            clearance,
            trace: statement.span.trace_id().to_bytes(),
            span: statement.span.span_id().to_bytes(),
            authorize: statement.authorize.map(SpanId::to_bytes),
            parent: (statement.parent != SpanId::INVALID).then(|| statement.parent.to_bytes()),
            action_digest: statement.action.digest(),
            action: statement.action,
            path: statement.path,
            actor: actor.party().clone(),
            owner: actor.owner_id().map(str::to_owned),
            supervisor: actor.supervisor().map(str::to_owned),
            initiator: actor.initiator().cloned(),
            delegation: actor.delegation().to_vec(),
            credential: standing.credential.clone(),
            runtime: self.runtime.clone(),
            business: statement.business,
            policy: statement.policy,
            approval: statement.approval.map(str::to_owned),
            refused: statement.refused,
            enrolment: standing.enrolment.as_deref().map(str::to_owned),
        };
        let bytes = claims.to_json().canonical().len() * 4 / 3 + HEADER_AND_SIGNATURE_BYTES;
        if bytes > BYTES_MAX {
            return Err(NotSigned::TooLong { bytes });
        }
        claims.sequence = self.numbered.fetch_add(1, Ordering::Relaxed) + 1;
        let token = claims.sign(standing.key.signing());
        let closing = closing(&claims, claims.action_digest);
        let attributes = mirror::attributes(token, &claims);
        Ok(Signed { attributes, closing, key: standing.key.clone(), started: None, closed: false, open: None })
    }

    /// Returns what says that the producer ends now, having lost so many spans, on this span.
    pub(crate) fn end(&self, span: &SpanContext, lost: u64) -> Option<KeyValue> {
        let standing = self.standing_now()?;
        let end = End {
            audience: standing.audience.to_string(),
            issued_at: now_seconds(),
            producer: self.id,
            trace: span.trace_id().to_bytes(),
            span: span.span_id().to_bytes(),
            last: self.numbered.load(Ordering::Relaxed),
            lost,
        };
        Some(KeyValue::new(names::PROVENANCE_END, end.sign(standing.key.signing())))
    }

    /// Returns what names this process.
    pub(crate) fn id(&self) -> String {
        crate::hex::text(&self.id)
    }

    /// Notes that the action of a span starts now.
    pub(crate) fn started(&self, span: SpanId) {
        self.pending.with_action(span, |signed| signed.started = Some(SystemTime::now()));
    }

    /// Keeps the context of an action that the SDK itself ends, so that it can be ended at a shutdown.
    pub(crate) fn opened(&self, span: SpanId, context: &Context) {
        self.pending.with_action(span, |signed| signed.open = Some(context.clone()));
    }

    /// Ends the spans of all actions that still run: they are on record as not closed.
    pub(crate) fn end_open(&self) {
        for context in self.pending.open() {
            context.span().end();
        }
    }

    /// Writes how the action of a span ended, the first time that it is said.
    pub(crate) fn close(&self, span: SpanId, outcome: Outcome) {
        self.pending.with_action(span, |signed| signed.close(outcome));
    }
}

impl Signed {
    /// Returns the leave that was given.
    pub(crate) fn clearance(&self) -> [u8; 16] {
        self.closing.clearance
    }

    /// Adds the closing statement, unless there is one.
    fn close(&mut self, outcome: Outcome) {
        if std::mem::replace(&mut self.closed, true) {
            return;
        }
        let closing = Closing { issued_at: now_seconds(), outcome, ..self.closing.clone() };
        self.attributes.push(KeyValue::new(names::PROVENANCE_CLOSING, closing.sign(self.key.signing())));
        self.attributes.push(KeyValue::new(names::PROVENANCE_ACTION_OUTCOME, outcome.as_str()));
    }

    /// Returns when the action started, if its span began earlier, and the attributes of its span, which ends now.
    pub(crate) fn end(mut self) -> (Option<SystemTime>, Vec<KeyValue>) {
        self.close(Outcome::NotClosed);
        (self.started, self.attributes)
    }
}

fn closing(claims: &Claims, executed: Digest) -> Closing {
    Closing {
        audience: claims.audience.clone(),
        issued_at: 0,
        producer: claims.producer,
        clearance: claims.clearance,
        trace: claims.trace,
        span: claims.span,
        executed,
        outcome: Outcome::NotClosed,
        result: None,
    }
}

/// Why nothing was signed.
#[derive(Debug)]
pub(crate) enum NotSigned {
    Random(getrandom::Error),
    TooLong { bytes: usize },
}

/// How often this process used which approval.
#[derive(Debug, Default)]
pub(crate) struct Uses(Mutex<HashMap<String, u64>>);

impl Uses {
    /// Takes one of `uses_max` uses, if one is left.
    pub(crate) fn take(&self, approval: &str, uses_max: u64) -> bool {
        let mut uses = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let used = uses.entry(approval.to_owned()).or_default();
        let is_left = *used < uses_max;
        *used += u64::from(is_left);
        is_left
    }
}

/// What belongs onto spans that have not ended, by span id. A span's id is random, so its bytes spread well.
#[derive(Debug, Default)]
pub(crate) struct Pending([Mutex<HashMap<SpanId, Belongings>>; 16]);

/// What belongs onto one span.
#[derive(Debug)]
pub(crate) enum Belongings {
    /// Who was in scope when it began, and below which span that was.
    Plain { actor: Option<Actor>, parent: SpanId },
    /// Attributes, a signed statement among them, and who waits for the collector to have them.
    Signed { attributes: Vec<KeyValue>, confirm: Option<oneshot::Sender<Result<(), String>>> },
    /// The claims of an action, whose closing is to come.
    Action(Box<Signed>),
    /// It is not to be exported.
    Discarded,
}

impl Belongings {
    fn open(&self) -> Option<Context> {
        match self {
            Self::Action(signed) => signed.open.clone(),
            _ => None,
        }
    }
}

impl Pending {
    pub(crate) fn put(&self, span: SpanId, belongings: Belongings) {
        self.shard(span).insert(span, belongings);
    }

    pub(crate) fn take(&self, span: SpanId) -> Option<Belongings> {
        self.shard(span).remove(&span)
    }

    /// Returns below which span one began that has not ended and is no action of ours yet.
    pub(crate) fn parent(&self, span: SpanId) -> Option<SpanId> {
        match self.shard(span).get(&span) {
            Some(Belongings::Plain { parent, .. }) => Some(*parent),
            _ => None,
        }
    }

    fn open(&self) -> Vec<Context> {
        let all = self.0.iter().map(|shard| shard.lock().unwrap_or_else(PoisonError::into_inner));
        all.flat_map(|shard| shard.values().filter_map(Belongings::open).collect::<Vec<_>>()).collect()
    }

    fn with_action(&self, span: SpanId, change: impl FnOnce(&mut Signed)) {
        if let Some(Belongings::Action(signed)) = self.shard(span).get_mut(&span) {
            change(signed);
        }
    }

    fn shard(&self, span: SpanId) -> MutexGuard<'_, HashMap<SpanId, Belongings>> {
        let shard = usize::from(span.to_bytes()[7]) % self.0.len();
        self.0[shard].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(crate) fn now_seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// At most: two dots, a header of 100 bytes and a signature of 64, in base64url.
const HEADER_AND_SIGNATURE_BYTES: usize = 256;

/// How long an action waits for the program's first enrolment.
const STANDING_WAIT: Duration = Duration::from_secs(10);
