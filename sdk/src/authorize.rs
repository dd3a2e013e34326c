//! From an action to leave to run it, or to the record of why not.

use std::time::Duration;

use opentelemetry::trace::{Span as _, SpanContext, SpanId, SpanKind, Status, TraceContextExt, Tracer};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::trace::Span;
use spanseal_authority::action::Digest;
use spanseal_authority::call::Leave;
use spanseal_authority::claims;
use spanseal_schemas::names;
use tokio::sync::oneshot;

use crate::action::{Action, Place};
use crate::actor::{Actor, Path};
use crate::approval::{Approval, Checked, Desk, Salts, Source, SourceError, Unfit, Wanted};
use crate::clearance::{Clearance, Outcome, Owner};
use crate::delivery::Confirmed;
use crate::policy::{Decided, Decision, Question, Undecided};
use crate::producer::{self, Belongings, NotSigned, Standing, Statement};
use crate::propagate::CurrentLeave;
use crate::sdk::{self, Sdk};

/// Asks for leave to run an action: policy decides, an approval is found and checked, and the decision is on record
/// before this returns, as a span of its own that has ended.
///
/// Dropped before it is done, it records that as a refusal.
///
/// # Errors
/// Every reason for which the action may not run, or cannot be recorded. Each refusal is on record too, where there is
/// any record.
pub async fn authorize(action: Action) -> Result<Clearance, Refused> {
    let sdk = action.sdk.clone().or_else(sdk::installed).ok_or(Refused::NotInstalled)?;
    let actor = Actor::current().unwrap_or_else(|| sdk.producer.actor().clone());
    let mut deciding = Deciding::begin(sdk, actor, &action)?;
    let decided = deciding.decide(&action).await;
    let (clearance, confirmed) = deciding.finish(decided)?;
    let Some(confirmed) = confirmed else { return Ok(clearance) };
    // Given up or not confirmed, the clearance is dropped, which is on record as unused.
    let refused = match tokio::time::timeout(CONFIRM_TIMEOUT, confirmed).await {
        Ok(Ok(Ok(()))) => return Ok(clearance),
        Ok(Ok(Err(why))) => why,
        Ok(Err(_)) => "the SDK was shut down".to_owned(),
        Err(_) => format!("no answer within {} s", CONFIRM_TIMEOUT.as_secs()),
    };
    Err(Refused::NotConfirmed(refused))
}

/// Why an action did not run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refused {
    /// No SDK.
    #[error("no SDK is installed; call `spanseal::init()...install()` where the program starts")]
    NotInstalled,
    /// The span would not be exported.
    #[error("the action cannot be recorded: {0}; it did not run")]
    NotRecorded(&'static str),
    /// No key that the collector knows.
    #[error("this program has no standing with the collector yet: {0}")]
    NotEnrolled(String),
    /// A text that cannot stand in claims.
    #[error("{member} is {value:?}; write 1 to 1024 bytes without control characters")]
    Text {
        /// The action's method, or the actor.
        member: &'static str,
        /// The value.
        value: String,
    },
    /// Arguments that have no digest.
    #[error("the arguments cannot be digested: {0}")]
    Arguments(String),
    /// More text than claims may have.
    #[error("the claims would be {bytes} bytes long; shorten what is said about the action")]
    TooLong {
        /// Their length.
        bytes: usize,
    },
    /// The operating system gives no random bytes.
    #[error("no random bytes from the operating system, so that the action did not run: {0}")]
    Random(getrandom::Error),
    /// Neither a policy nor a source of approvals.
    #[error(
        "nobody can give leave: call `.policy(...)` or `.approvals(...)` before install, or try it with `spanseal up --dev`"
    )]
    NobodyDecides,
    /// The policy says no.
    #[error("policy denies it ({engine}, decision {decision}): {}", determined(.policies))]
    Denied {
        /// Names the decision.
        decision: String,
        /// Which engine.
        engine: String,
        /// What determined it.
        policies: Vec<String>,
    },
    /// The policy did not decide.
    #[error("the policy came to no decision, which refuses: {0}")]
    Undecided(String),
    /// No approval.
    #[error("nobody approved it: no source has an approval of exactly this type, target, tool and arguments{}", also(.0))]
    NotApproved(Vec<String>),
    /// Somebody was asked and said no.
    #[error("{by} denied it: {reason}")]
    ApprovalDenied {
        /// Who.
        by: String,
        /// Why.
        reason: String,
    },
    /// The approval that was given does not fit.
    #[error("approval {id} does not fit: {why}")]
    Unfit {
        /// Which, where it can be read.
        id: String,
        /// Why.
        why: Unfit,
    },
    /// All its uses are used.
    #[error("approval {id} was used {uses} times already, as often as it allows; have it approved again")]
    UsedUp {
        /// Which.
        id: String,
        /// How often.
        uses: u64,
    },
    /// The collector did not take the record.
    #[error("the collector did not confirm the record, so that the action did not run: {0}")]
    NotConfirmed(String),
    /// The wait for leave was given up.
    #[error("the wait for leave was given up")]
    GivenUp,
}

impl Refused {
    /// Returns the short name of the cause, as the record has it.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotInstalled => "not_installed",
            Self::NotRecorded(_) => "not_recorded",
            Self::NotEnrolled(_) => "not_enrolled",
            Self::Text { .. } => "unusable_text",
            Self::Arguments(_) => "unusable_arguments",
            Self::TooLong { .. } => "claims_too_long",
            Self::Random(_) => "no_random_bytes",
            Self::NobodyDecides => "nobody_decides",
            Self::Denied { .. } => "policy_denied",
            Self::Undecided(_) => "policy_undecided",
            Self::NotApproved(_) => "not_approved",
            Self::ApprovalDenied { .. } => "approval_denied",
            Self::Unfit { .. } => "approval_unfit",
            Self::UsedUp { .. } => "approval_used_up",
            Self::NotConfirmed(_) => "not_confirmed",
            Self::GivenUp => "given_up",
        }
    }
}

fn determined(policies: &[String]) -> String {
    if policies.is_empty() { "no policy permits it".to_owned() } else { format!("by {}", policies.join(", ")) }
}

fn also(causes: &[String]) -> String {
    causes.iter().map(|cause| format!("; {cause}")).collect()
}

/// A decision that is being made, and the spans that will record it.
struct Deciding {
    sdk: Sdk,
    actor: Actor,
    parent: Context,
    /// The action's own span, which exists so that claims can name it; `None` once it is the clearance's, and where the
    /// current span records the action.
    own: Option<Span>,
    /// The `authorize` span; `None` once it has ended.
    decision: Option<Span>,
    action_span: SpanContext,
    action_parent: SpanId,
    /// The tools around it, this one last.
    path: Path,
    known: Known,
}

/// What is known so far, for the record.
#[derive(Default)]
struct Known {
    standing: Option<Standing>,
    digested: Option<spanseal_authority::action::Action>,
    arguments_salt: [u8; 16],
    business: claims::Business,
    policy: Option<claims::Policy>,
    approval: Option<Approval>,
}

impl Deciding {
    /// Opens the spans on the tracer itself, which no log filter reaches.
    fn begin(sdk: Sdk, actor: Actor, action: &Action) -> Result<Self, Refused> {
        let parent = Context::current();
        let below = parent.span().span_context().clone();
        let decision = sdk.tracer.span_builder(format!("authorize {}", action.kind)).with_kind(SpanKind::Internal);
        let mut decision = decision.start_with_context(&sdk.tracer, &parent);
        let deciding = decision.span_context().clone();
        if !decision.is_recording() || !is_exported(&deciding) {
            return Err(Refused::NotRecorded(NOT_RECORDED));
        }
        let (own, action_span, action_parent) = match action.place {
            Place::OwnSpan => {
                // At a trace's root the decision is the root, or the two would have a trace each.
                let (above, id) = if below.is_valid() {
                    (parent.clone(), below.span_id())
                } else {
                    (parent.with_remote_span_context(deciding.clone()), deciding.span_id())
                };
                let name = format!("execute_tool {}", action.tool.as_deref().unwrap_or(&action.kind));
                let span = sdk.tracer.span_builder(name).with_kind(SpanKind::Internal);
                let span = span.with_attributes(attributes(action)).start_with_context(&sdk.tracer, &above);
                let context = span.span_context().clone();
                sdk.producer.pending.put(context.span_id(), Belongings::Discarded);
                (Some(span), context, id)
            }
            Place::CurrentSpan => {
                let above = sdk.producer.pending.parent(below.span_id());
                let recorded = parent.span().is_recording() && is_exported(&below);
                let Some(above) = above.filter(|_| recorded) else {
                    let refused = Refused::NotRecorded(NO_CURRENT_SPAN);
                    say(&mut decision, &refused);
                    return Err(refused);
                };
                (None, below, above)
            }
        };
        let path = Path::in_context(&parent).below(action.tool.as_deref().unwrap_or(&action.kind));
        let known = Known { business: actor.business_for(&action.business), ..Known::default() };
        Ok(Self { sdk, actor, parent, own, decision: Some(decision), action_span, action_parent, path, known })
    }

    /// Decides, noting what becomes known on the way.
    async fn decide(&mut self, action: &Action) -> Result<(), Refused> {
        let standing = self.sdk.producer.standing().await.map_err(Refused::NotEnrolled)?;
        let standing = standing.of(&self.actor);
        self.known.standing = Some(standing.clone());
        let unusable = action.unusable_text().or(self.actor.unusable_name().map(|name| ("the actor", name)));
        if let Some((member, value)) = unusable {
            return Err(Refused::Text { member, value: value.to_owned() });
        }
        let salts = match &action.approval {
            Some(approval) => approval.salts(),
            None => Salts::random().map_err(Refused::Random)?,
        };
        self.known.digested = Some(action.digested(&salts)?);
        self.known.arguments_salt = salts.arguments;
        match self.judge(action, &standing).await {
            Err(refused) if self.sdk.rules.observe && refused.is_a_judgement() => Ok(()),
            judged => judged,
        }
    }

    async fn judge(&mut self, action: &Action, standing: &Standing) -> Result<(), Refused> {
        let rules = self.sdk.rules.clone();
        let needs_approval = match &rules.policy {
            None if rules.sources.is_empty() && action.approval.is_none() && standing.desk.is_none() => {
                return Err(Refused::NobodyDecides);
            }
            None => true,
            Some(policy) => {
                let decided = policy.decide(&Question { action, actor: &self.actor }).await;
                self.known.policy = Some(policy_claim(&decided));
                match decided.map_err(|undecided| Refused::Undecided(undecided.cause))? {
                    Decided { decision: Decision::Allow, .. } => false,
                    Decided { decision: Decision::AllowIfApproved, .. } => true,
                    Decided { decision: Decision::Deny, id, engine, policies, .. } => {
                        return Err(Refused::Denied { decision: id, engine, policies });
                    }
                }
            }
        };
        if let Some(approval) = &action.approval {
            self.known.approval = Some(approval.clone());
            return self.use_approval(action, standing, approval);
        }
        if needs_approval { self.find_approval(action, standing).await } else { Ok(()) }
    }

    /// Asks the sources in order, until one has an approval that fits.
    async fn find_approval(&mut self, action: &Action, standing: &Standing) -> Result<(), Refused> {
        let rules = self.sdk.rules.clone();
        let key = standing.key.public();
        let actor = self.actor.clone();
        let wanted = Wanted { action, actor: &actor, actor_key: &key, audience: &standing.audience };
        let (mut causes, mut unfit) = (Vec::new(), None);
        // The collector's desk comes last: what the program was given is asked first.
        let desk = standing.desk.clone().map(|url| Desk::at_uri(url, self.sdk.producer.http.clone()));
        let sources = rules.sources.iter().map(|source| &**source).chain(desk.iter().map(|desk| desk as &dyn Source));
        for source in sources {
            match source.find(&wanted).await {
                Ok(None) => {}
                Ok(Some(approval)) => {
                    self.known.digested = Some(action.digested(&approval.salts())?);
                    self.known.arguments_salt = approval.salts().arguments;
                    self.known.approval = Some(approval.clone());
                    match self.use_approval(action, standing, &approval) {
                        Ok(()) => return Ok(()),
                        Err(refused) => unfit = Some(refused),
                    }
                }
                Err(SourceError::Denied { by, reason }) => return Err(Refused::ApprovalDenied { by, reason }),
                Err(other) => causes.push(other.to_string()),
            }
        }
        Err(unfit.unwrap_or(Refused::NotApproved(causes)))
    }

    /// Checks an approval and takes one of its uses.
    fn use_approval(&self, action: &Action, standing: &Standing, approval: &Approval) -> Result<(), Refused> {
        let digest = action.digest(&approval.salts())?;
        let checked = Checked {
            approvers: &standing.approvers,
            audience: &standing.audience,
            actor: &self.actor,
            key: standing.key.thumbprint(),
            digest,
            ticket: self.known.business.ticket.as_deref(),
            now: producer::now_seconds(),
        };
        let said = checked.check(approval).map_err(|why| Refused::Unfit { id: approval.id(), why })?;
        if self.sdk.producer.uses.take(&said.id, said.max_uses) {
            return Ok(());
        }
        Err(Refused::UsedUp { id: said.id, uses: said.max_uses })
    }

    /// Puts the decision on record and ends its span.
    fn finish(mut self, decided: Result<(), Refused>) -> Result<(Clearance, Option<Confirmed>), Refused> {
        let recorded = match decided {
            Ok(()) => self.record(None),
            Err(refused) => Err(refused),
        };
        match recorded {
            Ok((confirmed, leave)) => {
                let owner = if self.own.is_some() { Owner::Clearance } else { Owner::Other };
                let context = match self.own.take() {
                    Some(span) => self.parent.with_span(span),
                    None => self.parent.clone(),
                };
                let context = context.with_value(self.path.clone()).with_value(CurrentLeave(leave));
                Ok((Clearance::new(self.sdk.producer.clone(), context, owner), confirmed))
            }
            Err(refused) => {
                self.refuse(&refused);
                Err(refused)
            }
        }
    }

    /// Puts a refusal on record: signed where that is possible, else as the span's status alone.
    fn refuse(&mut self, refused: &Refused) {
        let refusal = claims::Refusal { code: refused.code().to_owned(), reason: text(&refused.to_string()) };
        if let Some(decision) = &mut self.decision {
            say(decision, refused);
        }
        if self.known.digested.is_some() && !matches!(refused, Refused::TooLong { .. } | Refused::Random(_)) {
            // What cannot be signed stays on record as the status.
            let _ = self.record(Some(refusal));
        }
        self.decision = None;
    }

    /// Signs what is known and puts it onto the span of the decision, and of the action if there is leave.
    fn record(&mut self, refused: Option<claims::Refusal>) -> Result<(Option<Confirmed>, Leave), Refused> {
        let Some(decision) = self.decision.take() else { return Err(Refused::GivenUp) };
        let (Some(standing), Some(action)) = (&self.known.standing, self.known.digested.take()) else {
            return Err(Refused::GivenUp);
        };
        let producer = &self.sdk.producer;
        let done = action.clone();
        let is_refused = refused.is_some();
        let signed = producer.sign(Statement {
            standing,
            span: &self.action_span,
            authorize: Some(decision.span_context().span_id()),
            parent: self.action_parent,
            actor: &self.actor,
            action,
            business: std::mem::take(&mut self.known.business),
            policy: self.known.policy.take(),
            approval: self.known.approval.as_ref().map(Approval::statement),
            path: self.path.to_vec(),
            refused,
        });
        let signed = match signed {
            Ok(signed) => signed,
            Err(error) => {
                self.decision = Some(decision);
                return Err(error.into());
            }
        };
        let leave = Leave { clearance: signed.clearance(), action: done, arguments_salt: self.known.arguments_salt };
        let (confirm, confirmed) = (self.sdk.rules.acked && !is_refused)
            .then(oneshot::channel)
            .map_or((None, None), |(tx, rx)| (Some(tx), Some(rx)));
        let attributes = signed.attributes.clone();
        producer.pending.put(decision.span_context().span_id(), Belongings::Signed { attributes, confirm });
        drop(decision); // ends it
        // A span of the action's own that was refused stays away; one that is there anyway says that nothing ran.
        if !is_refused || self.own.is_none() {
            producer.pending.put(self.action_span.span_id(), Belongings::Action(Box::new(signed)));
        }
        if is_refused {
            producer.close(self.action_span.span_id(), Outcome::Unused);
        }
        Ok((confirmed, leave))
    }
}

impl Drop for Deciding {
    fn drop(&mut self) {
        if self.decision.is_some() {
            self.refuse(&Refused::GivenUp);
        }
    }
}

impl Refused {
    /// Returns whether somebody judged the action, rather than something failed.
    fn is_a_judgement(&self) -> bool {
        matches!(
            self,
            Self::NobodyDecides
                | Self::Denied { .. }
                | Self::Undecided(_)
                | Self::NotApproved(_)
                | Self::ApprovalDenied { .. }
                | Self::Unfit { .. }
                | Self::UsedUp { .. }
        )
    }
}

impl From<NotSigned> for Refused {
    fn from(error: NotSigned) -> Self {
        match error {
            NotSigned::Random(error) => Refused::Random(error),
            NotSigned::TooLong { bytes } => Refused::TooLong { bytes },
        }
    }
}

/// Says on the span of a decision that leave was refused.
fn say(decision: &mut Span, refused: &Refused) {
    decision.set_status(Status::error(refused.to_string()));
    decision.set_attribute(KeyValue::new(names::ERROR_TYPE, refused.code()));
}

fn policy_claim(decided: &Result<Decided, Undecided>) -> claims::Policy {
    let none = claims::Policy::of(claims::Decision::Deny);
    match decided {
        Err(undecided) => claims::Policy { errors: Some(undecided.errors.max(1).into()), ..none },
        Ok(decided) => claims::Policy {
            decision: match decided.decision {
                Decision::Allow | Decision::AllowIfApproved => claims::Decision::Allow,
                Decision::Deny => claims::Decision::Deny,
            },
            id: Some(text(&decided.id)),
            version: decided.version.as_deref().map(text),
            engine: Some(text(&decided.engine)),
            policies: decided.policies.iter().take(claims::POLICIES_MAX).map(|policy| text(policy)).collect(),
            set: decided.set.map(Digest),
            ..none
        },
    }
}

/// Returns what can stand in claims of a text that comes from elsewhere.
fn text(said: &str) -> String {
    let mut kept: String = said.chars().map(|char| if char.is_control() { ' ' } else { char }).collect();
    kept.truncate(kept.floor_char_boundary(TEXT_BYTES_MAX));
    if kept.is_empty() { "-".to_owned() } else { kept }
}

fn attributes(action: &Action) -> Vec<KeyValue> {
    let mut attributes = vec![KeyValue::new(names::GEN_AI_OPERATION_NAME, "execute_tool")];
    attributes.extend(action.tool.clone().map(|tool| KeyValue::new(names::GEN_AI_TOOL_NAME, tool)));
    let revealed = action.revealed.as_ref().map(ToString::to_string);
    attributes.extend(revealed.map(|shown| KeyValue::new(names::GEN_AI_TOOL_CALL_ARGUMENTS, shown)));
    attributes
}

fn is_exported(span: &SpanContext) -> bool {
    span.is_valid() && span.is_sampled()
}

/// How long an action waits for the collector to have the decision on it.
const CONFIRM_TIMEOUT: Duration = Duration::from_secs(10);
const TEXT_BYTES_MAX: usize = 1024;
const NOT_RECORDED: &str = "its span is not recorded; the SDK was shut down, or telemetry is suppressed here";
const NO_CURRENT_SPAN: &str = "the current span is not recorded by this SDK; call it inside the tool's span";
