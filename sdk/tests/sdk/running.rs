//! Starting and ending.

use spanseal::{Actor, InitError, Report};

use crate::sink::*;

#[tokio::test]
async fn what_the_collector_refuses_is_counted_as_lost() {
    let sink = Sink::start(Some(tonic::Code::InvalidArgument)).await;
    let guard = sink.builder().observe().start().unwrap();
    guard.action("a").run(async { Ok::<_, spanseal::Refused>(()) }).await.unwrap();
    assert!(!guard.flush().await);
    assert_eq!(guard.shutdown().await, Report { lost: 3, ..Report::default() });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_dropped_guard_exports_what_waits() {
    let sink = Sink::start(None).await;
    let guard = sink.builder().observe().start().unwrap();
    guard.action("a").run(async { Ok::<_, spanseal::Refused>(()) }).await.unwrap();
    tokio::task::spawn_blocking(move || drop(guard)).await.unwrap();
    assert_eq!(sink.spans().0.len(), 3, "decision, action and the end of the producer");
}

#[tokio::test]
async fn flushing_sends_what_waits() {
    let rig = Rig::observing().await;
    rig.guard.action("a").run(async { Ok::<_, spanseal::Refused>(()) }).await.unwrap();
    assert!(rig.guard.flush().await);
    assert_eq!(rig.sink.spans().0.len(), 2);
    rig.spans().await;
}

#[tokio::test]
async fn a_missing_or_unusable_setting_is_named_with_its_remedy() {
    let error = |builder: spanseal::Builder| builder.start().unwrap_err().to_string();
    let keyed = || spanseal::init().audience(AUDIENCE).key(agent_key());
    assert_eq!(
        error(keyed()),
        "`actor` is not set; call `.actor(Actor::agent(\"spiffe://acme.example/agent/deployer\"))` before install"
    );
    assert!(error(keyed().actor(Actor::agent("a\nb"))).starts_with("\"a\\nb\" is no usable name"));
    assert!(
        error(keyed().actor(Actor::agent(AGENT)).endpoint("not a url"))
            .starts_with(".endpoint(...) is \"not a url\", which is no address")
    );
}

#[test]
fn outside_of_a_runtime_the_remedy_is_named() {
    let started = spanseal::init().audience(AUDIENCE).key(agent_key()).actor(Actor::agent(AGENT)).start();
    assert!(matches!(started, Err(InitError::NoRuntime)));
}
