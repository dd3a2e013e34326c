//! The installed SDK. One test, since a program installs it once.

use spanseal::{Actor, InitError, Key, Refused};

fn builder() -> spanseal::Builder {
    spanseal::init()
        .audience("acme.example/agents")
        .key(Key::from_seed(&[1; 32]))
        .actor(Actor::agent("spiffe://acme.example/agent/a"))
        .observe()
}

#[tokio::test]
async fn the_installed_sdk_records_everywhere_and_is_installed_once() {
    let guard = builder().endpoint("http://127.0.0.1:9").install().unwrap();
    assert!(matches!(builder().install(), Err(InitError::Subscriber(_))));
    assert_eq!(spanseal::action("secret.rotate").run(async { Ok::<_, Refused>(7) }).await, Ok(7));
    let recorded = tracing::info_span!("any").in_scope(|| {
        use opentelemetry::trace::TraceContextExt;
        opentelemetry::Context::map_current(|context| context.span().span_context().is_valid())
    });
    assert!(recorded);
    drop(guard);
}
