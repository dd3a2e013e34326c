//! What a developer's own tests can assert, without a collector.

use spanseal::testing::Recorder;
use spanseal::{Outcome, Refused};

#[derive(Debug, PartialEq, thiserror::Error)]
enum ToolError {
    #[error(transparent)]
    Refused(#[from] Refused),
}

#[spanseal::tool(
    kind = "ticket.update",
    target = "ticket:{ticket}",
    because = "asked by {ticket}",
    ticket = "{ticket}",
    skip(handle),
    reveal(ticket)
)]
async fn close_ticket(
    ticket: &str,
    hours: f64,
    handle: std::sync::Arc<std::sync::Mutex<u32>>,
) -> Result<u32, ToolError> {
    *handle.lock().unwrap() += 1;
    Ok(hours as u32)
}

fn handle() -> std::sync::Arc<std::sync::Mutex<u32>> {
    std::sync::Arc::default()
}

#[tokio::test]
async fn a_tool_runs_with_leave_and_says_so() {
    let recorder = Recorder::new();
    let guard = recorder.approving().start().unwrap();
    let ran = handle();
    assert_eq!(guard.scope(close_ticket("OPS-12", 1.5, ran.clone())).await, Ok(1));
    guard.shutdown().await;
    assert_eq!(*ran.lock().unwrap(), 1);
    let (decisions, actions) = (recorder.decisions(), recorder.actions());
    assert_eq!((decisions.len(), actions.len()), (1, 1));
    assert_eq!(decisions[0].claims, actions[0].claims);
    assert_eq!((&*actions[0].name, actions[0].outcome), ("execute_tool close_ticket", Some(Outcome::Success)));
    let claims = &actions[0].claims;
    assert_eq!((&*claims.action.kind, claims.action.target.as_deref()), ("ticket.update", Some("ticket:OPS-12")));
    assert_eq!(claims.business.ticket.as_deref(), Some("OPS-12"));
    assert!(claims.action.arguments.is_some() && claims.approval.is_some());
}

#[tokio::test]
async fn a_tool_without_leave_does_not_run() {
    let recorder = Recorder::new();
    let guard = recorder.builder().start().unwrap();
    let ran = handle();
    let refused = guard.scope(close_ticket("OPS-12", 1.0, ran.clone())).await;
    assert_eq!(refused, Err(ToolError::Refused(Refused::NobodyDecides)));
    guard.shutdown().await;
    assert_eq!(*ran.lock().unwrap(), 0);
    assert_eq!(recorder.decisions()[0].claims.refused.as_ref().unwrap().code, "nobody_decides");
    assert!(recorder.actions().is_empty());
}

#[tokio::test]
async fn several_sdks_in_one_program_do_not_mix() {
    let (one, other) = (Recorder::new(), Recorder::new());
    let (first, second) = (one.approving().start().unwrap(), other.approving().start().unwrap());
    first.scope(close_ticket("A", 1.0, handle())).await.unwrap();
    second.scope(close_ticket("B", 1.0, handle())).await.unwrap();
    first.shutdown().await;
    second.shutdown().await;
    let targets = |recorder: &Recorder| recorder.actions()[0].claims.action.target.clone().unwrap();
    assert_eq!((targets(&one), targets(&other)), ("ticket:A".into(), "ticket:B".into()));
}
