use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use tokio_util::sync::CancellationToken;

use super::{Health, Metrics, run};

async fn get(address: SocketAddr, path: &str) -> (u16, String) {
    let client: Client<_, Empty<Bytes>> = Client::builder(TokioExecutor::new()).build_http();
    let response = client.get(format!("http://{address}{path}").parse().unwrap()).await.unwrap();
    let code = response.status().as_u16();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (code, String::from_utf8(body.to_vec()).unwrap())
}

#[tokio::test]
async fn tells_operators_what_works() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (health, metrics, stop) = (Health::of(&["seal"]), Arc::new(Metrics::new()), CancellationToken::new());
    let stage = tokio::spawn(run(listener, health.clone(), Arc::clone(&metrics), stop.clone()));

    assert_eq!(get(address, "/healthz").await, (200, "alive\n".to_owned()));
    let starting = r#"{"ready":false,"reasons":{"seal":"starting"}}"#.to_owned() + "\n";
    assert_eq!(get(address, "/readyz").await, (503, starting));
    health.ready("seal");
    assert_eq!(get(address, "/readyz").await, (200, "{\"ready\":true,\"reasons\":{}}\n".to_owned()));
    metrics.seal.batches.inc_by(7);
    let (code, text) = get(address, "/metrics").await;
    assert_eq!(code, 200);
    assert!(text.contains("\nspanseal_seal_batches_total 7\n"), "{text}");
    assert!(text.ends_with("# EOF\n"));
    assert_eq!(get(address, "/metric").await.0, 404);

    stop.cancel();
    stage.await.unwrap().unwrap();
}
