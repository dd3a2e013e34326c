//! Leave to act: how it is given, refused, used, and how its use ends on record.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use spanseal::policy::{Answer, Decided, Decision, Policy, Question, Undecided};
use spanseal::{Action, Approvals, Refused};
use spanseal_authority::Reason;
use spanseal_authority::claims::Claims;
use spanseal_schemas::event::Verdict;
use tracing::Instrument;

use crate::sink::*;

fn rotate(rig: &Rig) -> Action {
    rig.guard.action("secret.rotate").target("vault:prod/billing-db").tool("rotate_secret")
}

/// A policy that always decides the same.
#[derive(Clone, Debug)]
struct Always(Result<Decision, &'static str>);

impl Policy for Always {
    fn decide<'a>(&'a self, _: &'a Question<'a>) -> Answer<'a, Result<Decided, Undecided>> {
        let decided = |decision| Decided {
            decision,
            id: "d-9".into(),
            engine: "always 1".into(),
            version: Some("v7".into()),
            policies: vec!["the-one".into()],
            set: Some([7; 32]),
        };
        Box::pin(std::future::ready(self.0.map(decided).map_err(Undecided::new)))
    }
}

/// Runs an action that counts its runs, and returns why it was refused.
async fn refused(rig: &Rig, action: Action) -> Refused {
    let ran = AtomicUsize::new(0);
    let run = action.run(async {
        ran.fetch_add(1, Ordering::Relaxed);
        Ok::<_, Refused>(())
    });
    let refused = run.await.unwrap_err();
    assert_eq!(ran.into_inner(), 0, "{refused}");
    assert!(rig.guard.flush().await);
    refused
}

/// Returns the claims on the record of a decision.
#[track_caller]
fn recorded(spans: &Spans) -> Claims {
    let record = spans.named("authorize secret.rotate");
    assert_eq!(spans.0.len(), 1, "nothing but the decision is on record: {:?}", spans.0);
    let found = judge(record);
    assert_eq!(found.verdict, Verdict::NoAction, "{:?} {record:?}", found.reasons);
    assert!(found.reasons.contains(&Reason::DecisionRecord) && found.reasons.contains(&Reason::Refused));
    *found.claims.unwrap()
}

#[tokio::test]
async fn every_refusal_is_on_record_and_the_action_is_not() {
    let cases: [(Option<Always>, Refused); 4] = [
        (None, Refused::NobodyDecides),
        (
            Some(Always(Ok(Decision::Deny))),
            Refused::Denied { decision: "d-9".into(), engine: "always 1".into(), policies: vec!["the-one".into()] },
        ),
        (Some(Always(Err("no policies loaded"))), Refused::Undecided("no policies loaded".into())),
        (Some(Always(Ok(Decision::AllowIfApproved))), Refused::NotApproved(Vec::new())),
    ];
    for (policy, expected) in cases {
        let rig = Rig::with(|builder| match policy.clone() {
            Some(policy) => builder.policy(policy),
            None => builder,
        });
        let rig = rig.await;
        assert_eq!(refused(&rig, rotate(&rig)).await, expected);
        let claims = recorded(&rig.spans().await);
        let refusal = claims.refused.unwrap();
        assert_eq!((&*refusal.code, &*refusal.reason), (expected.code(), &*expected.to_string()));
        assert_eq!(claims.policy.is_some(), policy.is_some());
    }
}

#[tokio::test]
async fn a_policy_that_allows_is_leave_enough_and_named_in_the_claims() {
    let rig = Rig::with(|builder| builder.policy(Always(Ok(Decision::Allow)))).await;
    rotate(&rig).run(async { Ok::<_, Refused>(()) }).await.unwrap();
    let spans = rig.spans().await;
    let found = spans.judged("execute_tool rotate_secret");
    assert_eq!(found.reasons, [Reason::ApprovalAbsent, Reason::PolicyNotReexecuted]);
    let policy = found.claims.unwrap().policy.unwrap();
    assert_eq!((policy.engine.as_deref(), policy.version.as_deref()), (Some("always 1"), Some("v7")));
    assert_eq!(policy.policies, ["the-one"]);
    assert_eq!(values(spans.named("execute_tool rotate_secret"), "provenance.policy.decision"), ["allow"]);
}

#[tokio::test]
async fn an_approval_that_does_not_fit_is_refused_with_its_reason() {
    let rig = Rig::start().await;
    let other = approve(&rotate(&rig).target("vault:prod/root"));
    let error = refused(&rig, rotate(&rig).approved_by(&other)).await.to_string();
    assert!(error.contains("does not fit: it is for another action"), "{error}");
    let (action, key) = (rotate(&rig), agent_key().public());
    let mut terms = terms(&action, &key);
    terms.approver = "mallory@acme.example";
    let stranger = spanseal::approval::issue(&spanseal::Key::from_seed(&[9; 32]), &terms).unwrap();
    let error = refused(&rig, rotate(&rig).approved_by(&stranger)).await.to_string();
    assert!(error.contains("no known approver signed it"), "{error}");
}

#[tokio::test]
async fn an_approval_is_used_as_often_as_it_allows() {
    let rig = Rig::start().await;
    let approval = approve(&rotate(&rig));
    rotate(&rig).approved_by(&approval).run(async { Ok::<_, Refused>(()) }).await.unwrap();
    let again = refused(&rig, rotate(&rig).approved_by(&approval)).await;
    assert!(matches!(again, Refused::UsedUp { uses: 1, .. }), "{again}");
}

#[tokio::test]
async fn sources_are_asked_until_one_has_an_approval_that_fits() {
    let found = Arc::new(AtomicUsize::new(0));
    let asked = found.clone();
    let rig = Rig::with(|builder| {
        let action = spanseal::action("secret.rotate").target("vault:prod/billing-db").tool("rotate_secret");
        let (key, hour) = (agent_key().public(), std::time::Duration::from_secs(3600));
        let mut late = terms(&action, &key);
        late.expires = late.not_before - hour;
        let late = spanseal::approval::issue(&approver_key(), &late).unwrap();
        let good = approve(&action);
        builder.approvals(Approvals::default()).approvals(Approvals::from_iter([late])).approvals(
            spanseal::approval::callback(move |wanted| {
                asked.fetch_add(1, Ordering::Relaxed);
                assert_eq!(wanted.action.kind(), "secret.rotate");
                let good = good.clone();
                Box::pin(async move { Ok(Some(good)) })
            }),
        )
    });
    let rig = rig.await;
    rotate(&rig).run(async { Ok::<_, Refused>(()) }).await.unwrap();
    assert_eq!(found.load(Ordering::Relaxed), 1);
    assert_eq!(rig.spans().await.judged("execute_tool rotate_secret").verdict, Verdict::Proven);
}

#[tokio::test]
async fn the_decision_is_on_record_before_the_action_starts_and_beside_it() {
    let rig = Rig::start().await;
    let plan = tracing::info_span!("plan");
    async {
        let clearance = rotate(&rig).approved_by(&approve(&rotate(&rig))).authorize().await.unwrap();
        assert!(rig.guard.flush().await);
        assert_eq!(rig.sink.spans().0.len(), 1, "the decision alone");
        clearance.run(async { Ok::<_, Refused>(()) }).await.unwrap();
    }
    .instrument(plan)
    .await;
    let spans = rig.spans().await;
    let (decision, action) = (spans.named("authorize secret.rotate"), spans.named("execute_tool rotate_secret"));
    assert_eq!(decision.parent_span_id, action.parent_span_id);
    assert_eq!(decision.parent_span_id, spans.named("plan").span_id);
    assert!(decision.end_time_unix_nano <= action.start_time_unix_nano);
    assert_eq!(values(decision, "provenance.claims"), values(action, "provenance.claims"));
    assert_eq!(judge(decision).reasons, [Reason::DecisionRecord, Reason::UsesNotCounted]);
}

#[tokio::test]
async fn every_end_is_written() {
    let rig = Rig::start().await;
    let leave = || async { rotate(&rig).approved_by(&approve(&rotate(&rig))).authorize().await.unwrap() };
    leave().await.run(async { Ok::<_, Refused>(()) }).await.unwrap();
    leave().await.run(async { Err::<(), _>("no") }).await.unwrap_err();
    leave().await.run_blocking(|| Ok::<_, Refused>(())).unwrap();
    let panicking = leave().await;
    let panicked = tokio::spawn(panicking.run(async { if true { panic!("as it happens") } else { Ok::<(), ()>(()) } }));
    assert!(panicked.await.unwrap_err().is_panic());
    let never = leave().await.run(std::future::pending::<Result<(), ()>>());
    assert!(tokio::time::timeout(std::time::Duration::from_millis(5), never).await.is_err());
    drop(leave().await);
    let open = leave().await.start();
    let spans = rig.spans().await.actions();
    std::mem::forget(open);
    let ends: Vec<_> = spans.iter().map(outcome).collect();
    assert_eq!(ends, ["success", "error", "success", "panic", "abandoned", "unused", "not_closed"]);
    for span in &spans {
        assert_eq!(judge(span).verdict, Verdict::Proven, "{}", outcome(span));
    }
    assert_eq!(judge(&spans[5]).reasons, [Reason::Unused, Reason::UsesNotCounted]);
    assert_eq!(judge(&spans[6]).reasons, [Reason::NotClosed, Reason::UsesNotCounted]);
}

#[tokio::test]
async fn a_wait_for_leave_that_is_given_up_is_on_record() {
    let rig =
        Rig::with(|builder| builder.approvals(spanseal::approval::callback(|_| Box::pin(std::future::pending()))));
    let rig = rig.await;
    let waiting = rotate(&rig).authorize();
    assert!(tokio::time::timeout(std::time::Duration::from_millis(5), waiting).await.is_err());
    let claims = recorded(&rig.spans().await);
    assert_eq!(claims.refused.unwrap().code, "given_up");
}

#[tokio::test]
async fn a_span_that_somebody_else_made_can_record_the_action() {
    let rig = Rig::start().await;
    let tool = || {
        tracing::info_span!("execute_tool", gen_ai.operation.name = "execute_tool", gen_ai.tool.name = "rotate_secret")
    };
    let rotate = || rotate(&rig).in_current_span();
    let approved = async {
        let leave = rotate().approved_by(&approve(&rotate())).authorize().await.unwrap();
        leave.run(async { Ok::<_, Refused>(()) }).await.unwrap();
    };
    approved.instrument(tool()).await;
    async { rotate().authorize().await.unwrap_err() }.instrument(tool()).await;
    assert!(matches!(rotate().authorize().await, Err(Refused::NotRecorded(_))), "there is no current span");
    let spans = rig.spans().await;
    let named = |name: &str| spans.0.iter().filter(|span| span.name == name).collect::<Vec<_>>();
    let (tools, decisions) = (named("execute_tool"), named("authorize secret.rotate"));
    assert_eq!((tools.len(), decisions.len()), (2, 3), "the last asked where there was no span");
    for (tool, decision) in tools.iter().zip(&decisions) {
        assert_eq!(decision.parent_span_id, tool.span_id);
        assert_eq!(judge(decision).verdict, Verdict::NoAction);
    }
    assert_eq!((judge(tools[0]).verdict, &*outcome(tools[0])), (Verdict::Proven, "success"));
    assert_eq!((judge(tools[1]).verdict, &*outcome(tools[1])), (Verdict::Unproven, "unused"));
    assert_eq!(judge(tools[1]).reasons, [Reason::Unused, Reason::ApprovalAbsent, Reason::Refused]);
}

#[tokio::test]
async fn tools_inside_tools_have_a_path() {
    let rig = Rig::observing().await;
    let inner = || rig.guard.action("host.reboot").tool("reboot");
    let outer = rig.guard.action("host.remediate").tool("remediate");
    outer.run(async { inner().run(async { Ok::<_, Refused>(()) }).await }).await.unwrap();
    let claims = rig.spans().await.judged("execute_tool reboot").claims.unwrap();
    assert_eq!(claims.path, ["remediate", "reboot"]);
}
