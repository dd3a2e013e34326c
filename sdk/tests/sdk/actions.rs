//! Actions that run through the SDK.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use spanseal::approval::Terms;
use spanseal::{Action, Actor, Approvals, Initiator, Refused};
use spanseal_authority::Reason;
use spanseal_schemas::event::{Claim, Grade, Verdict};

use crate::sink::*;

fn rotate(rig: &Rig) -> Action {
    rig.guard
        .action("secret.rotate")
        .target("vault:prod/billing-db")
        .tool("rotate_secret")
        .arguments(&serde_json::json!({"length": 32}))
}

async fn works() -> Result<(), Refused> {
    Ok(())
}

#[tokio::test]
async fn an_approved_action_is_proven() {
    let rig = Rig::start().await;
    let approval = approve(&rotate(&rig));
    rotate(&rig).ticket("CHG-1042").approved_by(&approval).run(works()).await.unwrap();
    let spans = rig.spans().await;
    let found = spans.judged("execute_tool rotate_secret");
    assert_eq!((found.verdict, &*found.reasons), (Verdict::Proven, &[Reason::UsesNotCounted][..]));
    assert_eq!([Claim::Owner, Claim::Business].map(|claim| found.grade(claim)), [Grade::Verified; 2]);
    assert_eq!(found.producer.unwrap().1, 1);
}

#[tokio::test]
async fn observed_only_an_action_without_an_approval_runs_and_is_unproven() {
    let rig = Rig::observing().await;
    rotate(&rig).run(works()).await.unwrap();
    let found = rig.spans().await.judged("execute_tool rotate_secret");
    assert_eq!(
        (found.verdict, &*found.reasons),
        (Verdict::Unproven, &[Reason::NotEvaluated, Reason::ApprovalAbsent][..])
    );
    assert_eq!(found.grade(Claim::Actor), Grade::Verified);
}

/// Runs an action under an approval of [`rotate`] with other terms, and returns why it is violated.
async fn violated(act: impl FnOnce(&Rig) -> Action, change: impl FnOnce(&mut Terms<'_>)) -> Vec<Reason> {
    let rig = Rig::observing().await;
    let (approved, key) = (rotate(&rig), agent_key().public());
    let mut terms = terms(&approved, &key);
    change(&mut terms);
    let approval = spanseal::approval::issue(&approver_key(), &terms).unwrap();
    act(&rig).approved_by(&approval).run(works()).await.unwrap();
    let found = rig.spans().await.judged("execute_tool rotate_secret");
    assert_eq!(found.verdict, Verdict::Violated);
    found.reasons.into_iter().filter(|reason| *reason != Reason::UsesNotCounted).collect()
}

#[tokio::test]
async fn an_approval_that_does_not_fit_makes_an_action_violated() {
    let other_target = |rig: &Rig| rotate(rig).target("vault:prod/root");
    assert_eq!(violated(other_target, |_| {}).await, [Reason::ApprovalDigest]);
    let other_arguments = |rig: &Rig| rotate(rig).arguments(&serde_json::json!({"length": 8}));
    assert_eq!(violated(other_arguments, |_| {}).await, [Reason::ApprovalDigest]);
    let hour_ago = SystemTime::now() - Duration::from_secs(3600);
    assert_eq!(violated(rotate, |terms| terms.expires = hour_ago).await, [Reason::ApprovalExpired]);
    assert_eq!(violated(rotate, |terms| terms.actor = SUB_AGENT).await, [Reason::ApprovalActor]);
    assert_eq!(violated(rotate, |terms| terms.approver = "carol@acme.example").await, [Reason::ApproverMismatch]);
    let other_ticket = |rig: &Rig| rotate(rig).ticket("CHG-1");
    assert_eq!(violated(other_ticket, |_| {}).await, [Reason::TicketMismatch]);
}

#[tokio::test]
async fn whoever_asked_cannot_approve() {
    let rig = Rig::observing().await;
    let approval = approve(&rotate(&rig));
    agent().on_behalf_of("bob@acme.example").scope(rotate(&rig).approved_by(&approval).run(works())).await.unwrap();
    let found = rig.spans().await.judged("execute_tool rotate_secret");
    assert_eq!(
        (found.verdict, &*found.reasons),
        (Verdict::Violated, &[Reason::SelfApproval, Reason::UsesNotCounted][..])
    );
}

#[tokio::test]
async fn a_file_gives_the_approval_that_names_the_action() {
    let rig = Rig::start().await;
    let directory = tempfile::tempdir().unwrap();
    let other = approve(&rig.guard.action("secret.rotate").target("vault:prod/other"));
    other.write(directory.path().join("one.json")).unwrap();
    let many = serde_json::to_string(&[other, approve(&rotate(&rig))]).unwrap();
    std::fs::write(directory.path().join("many.json"), many).unwrap();

    assert_eq!(Approvals::file(directory.path().join("one.json")).unwrap().for_action(&rotate(&rig)), None);
    let approvals = Approvals::file(directory.path().join("many.json")).unwrap();
    let approval = approvals.for_action(&rotate(&rig)).unwrap();
    rotate(&rig).approved_by(approval).run(works()).await.unwrap();
    assert_eq!(rig.spans().await.judged("execute_tool rotate_secret").verdict, Verdict::Proven);

    let none = Approvals::file(directory.path().join("none.json")).unwrap_err().to_string();
    assert!(none.contains("none.json"), "{none}");
    std::fs::write(directory.path().join("bad.json"), r#"{"approval":"a.b.c","salt":"xyz","arguments_salt":""}"#)
        .unwrap();
    let bad = Approvals::file(directory.path().join("bad.json")).unwrap_err().to_string();
    assert!(bad.contains("bad.json holds no approvals") && bad.contains("32 lower-case hex digits"), "{bad}");
}

#[tokio::test]
async fn a_sub_agent_with_its_own_key_is_itself_in_a_chain() {
    let rig = Rig::observing().await;
    let sub = agent().delegate(Actor::agent(SUB_AGENT).owner("team:platform").key(sub_agent_key()));
    sub.scope(async { rotate(&rig).run(works()).await }).await.unwrap();
    let found = rig.spans().await.judged("execute_tool rotate_secret");
    assert_eq!(
        (found.verdict, found.grade(Claim::Actor), found.grade(Claim::Delegation)),
        (Verdict::Unproven, Grade::Verified, Grade::Asserted)
    );
    assert_eq!(found.claims.unwrap().delegation, ["alice@acme.example", AGENT, SUB_AGENT]);
}

#[tokio::test]
async fn a_sub_agent_under_anothers_key_is_found_out() {
    let rig = Rig::observing().await;
    let sub = agent().delegate(Actor::agent(SUB_AGENT));
    sub.scope(async { rotate(&rig).run(works()).await }).await.unwrap();
    let found = rig.spans().await.judged("execute_tool rotate_secret");
    assert_eq!((found.verdict, found.reasons[1]), (Verdict::Violated, Reason::ActorMismatch));
}

#[tokio::test]
async fn an_action_on_nobodys_behalf_is_not_proven() {
    let rig = Rig::start().await;
    let nobody = Actor::agent(AGENT);
    nobody.scope(rotate(&rig).approved_by(&approve(&rotate(&rig))).run(works())).await.unwrap();
    let nightly = Actor::agent(AGENT).on_behalf_of(Initiator::schedule("nightly"));
    nightly.scope(rotate(&rig).approved_by(&approve(&rotate(&rig))).run(works())).await.unwrap();
    let spans = rig.spans().await.actions();
    assert_eq!(judge(&spans[0]).reasons, [Reason::InitiatorAbsent, Reason::UsesNotCounted]);
    assert_eq!(judge(&spans[1]).verdict, Verdict::Proven);
}

#[tokio::test]
async fn what_happens_inside_is_below_the_action_and_the_action_below_its_caller() {
    let rig = Rig::observing().await;
    let run = rotate(&rig).run(async {
        tracing::info_span!("write secret").in_scope(|| ());
        works().await
    });
    use tracing::Instrument;
    run.instrument(tracing::info_span!("plan")).await.unwrap();
    let spans = rig.spans().await;
    let action = spans.named("execute_tool rotate_secret");
    assert_eq!(spans.named("write secret").parent_span_id, action.span_id);
    assert_eq!(action.parent_span_id, spans.named("plan").span_id);
    assert_eq!(judge(action).verdict, Verdict::Unproven);
}

#[tokio::test]
async fn an_error_marks_the_action_as_failed() {
    let rig = Rig::observing().await;
    let error = rotate(&rig).run(async { Err::<(), _>(Refused::NotInstalled) }).await;
    assert_eq!(error, Err(Refused::NotInstalled));
    rotate(&rig).run(works()).await.unwrap();
    let spans = rig.spans().await.actions();
    let status = |n: usize| spans[n].status.as_ref().map_or(0, |status| status.code);
    assert_eq!((status(0), outcome(&spans[0])), (2, "error".to_owned()));
    assert_eq!((status(1), outcome(&spans[1])), (0, "success".to_owned()));
}

#[tokio::test]
async fn arguments_leave_the_process_only_as_a_salted_digest() {
    let rig = Rig::observing().await;
    let secret = |rig: &Rig| rotate(rig).arguments(&"hunter2");
    secret(&rig).run(works()).await.unwrap();
    secret(&rig).run(works()).await.unwrap();
    let spans = rig.spans().await.actions();
    assert!(!format!("{spans:?}").contains("hunter2"));
    let digests: BTreeSet<_> =
        spans.iter().map(|span| judge(span).claims.unwrap().action.arguments.unwrap().to_string()).collect();
    assert_eq!(digests.len(), 2);
}

#[tokio::test]
async fn actions_are_numbered_without_gaps() {
    let rig = Rig::observing().await;
    for _ in 0..20 {
        rotate(&rig).run(works()).await.unwrap();
        tracing::info_span!("search", gen_ai.operation.name = "execute_tool").in_scope(|| ());
    }
    let spans = rig.spans().await.actions();
    let numbers: BTreeSet<_> = spans.iter().map(|span| judge(span).producer.unwrap()).collect();
    assert_eq!(numbers.iter().map(|(_, number)| *number).collect::<Vec<_>>(), (1..=40).collect::<Vec<_>>());
    assert_eq!(numbers.iter().map(|(id, _)| id).collect::<BTreeSet<_>>().len(), 1);
}

#[tokio::test]
async fn what_cannot_be_recorded_does_not_run() {
    let rig = Rig::observing().await;
    let ran = std::sync::atomic::AtomicBool::new(false);
    let run = |action: Action| {
        action.run(async {
            ran.store(true, std::sync::atomic::Ordering::Relaxed);
            works().await
        })
    };
    let refused = |result: Result<(), Refused>| result.unwrap_err().to_string();
    let long = "x".repeat(1025);
    for (action, cause) in [
        (rotate(&rig).target(&*long), "target is \"xxx"),
        (rotate(&rig).ticket("a\nb"), "ticket is \"a\\nb\""),
        (rig.guard.action(""), "the action's type is \"\""),
    ] {
        let error = refused(run(action).await);
        assert!(error.contains(cause), "{error}");
    }
    let suppressed = {
        let _suppressed = opentelemetry::Context::enter_telemetry_suppressed_scope();
        use std::future::Future;
        let mut run = Box::pin(run(rotate(&rig)));
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        match run.as_mut().poll(&mut context) {
            std::task::Poll::Ready(result) => refused(result),
            std::task::Poll::Pending => panic!("not refused"),
        }
    };
    assert!(suppressed.starts_with("the action cannot be recorded"), "{suppressed}");
    let after = rotate(&rig);
    rig.spans().await;
    assert!(refused(run(after).await).contains("the SDK was shut down"));
    assert!(!ran.into_inner());
}

#[test]
fn without_an_sdk_nothing_runs() {
    let run = spanseal::action("secret.rotate").run(works());
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    assert_eq!(runtime.block_on(run), Err(Refused::NotInstalled));
}

#[test]
fn terms_that_cannot_be_written_down_are_refused() {
    let (action, key) = (spanseal::action("secret.rotate"), agent_key().public());
    let issue = |change: fn(&mut Terms<'_>)| {
        let mut terms = terms(&action, &key);
        change(&mut terms);
        spanseal::approval::issue(&approver_key(), &terms).unwrap_err().to_string()
    };
    assert_eq!(issue(|terms| terms.max_uses = 0), "max_uses is 0; write at least 1");
    assert_eq!(
        issue(|terms| terms.approver = ""),
        "approver is \"\"; write 1 to 1024 bytes without control characters"
    );
    assert_eq!(issue(|terms| terms.actor_key = "rsa:x"), "the actor's key does not start with `ed25519:`");
}
