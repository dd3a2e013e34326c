//! Enrolment and approvals, asked as an agent asks.

use axum::body::to_bytes;
use serde_json::{Value, json};
use spanseal_authority::approval::Approval;
use spanseal_authority::asking::{Asked, AskedAction, AskedParty};
use spanseal_authority::claims::Party;
use spanseal_authority::config::{Approver, Config};
use spanseal_authority::receipt::{self, Receipt};
use tower::ServiceExt;

use super::*;

const NAME: &str = "acme.example/agents";

fn key(seed: u8) -> SigningKey {
    SigningKey::from_seed(&[seed; 32])
}

fn agents(folder: &std::path::Path, dev: bool) -> Agents {
    let approver = |name: &str, seed| Approver { name: name.into(), key: key(seed).public().to_string() };
    let config = Config { approver: vec![approver("bob", 2), approver(DEV_APPROVER, 3)], ..Config::default() };
    Agents {
        name: NAME.into(),
        authority: Arc::new(Authority::new(&config, NAME).unwrap()),
        enrolment: Arc::new(key(4)),
        folder: Folder::at(folder.join("approvals")),
        dev: dev.then(|| Dev { approver: Arc::new(key(3)) }),
    }
}

struct Desk {
    router: Router,
    folder: tempfile::TempDir,
}

impl Desk {
    fn open(dev: bool) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let reception = Arc::new(Reception::default());
        reception.open(agents(folder.path(), dev));
        Self { router: router(reception), folder }
    }

    async fn call(&self, method: &str, path: &str, body: impl Into<Body>) -> (u16, Value) {
        call(self.router.clone(), method, path, body).await
    }

    async fn ask(&self, asked: &Asked) -> (u16, Value) {
        self.call("POST", "/v1/provenance/approvals", json!(asked).to_string()).await
    }
}

async fn call(router: Router, method: &str, path: &str, body: impl Into<Body>) -> (u16, Value) {
    let request = Request::builder().method(method).uri(path).body(body.into()).unwrap();
    let response = router.oneshot(request).await.unwrap();
    let code = response.status().as_u16();
    let bytes = to_bytes(response.into_body(), 1 << 20).await.unwrap();
    (code, serde_json::from_slice(&bytes).unwrap_or_default())
}

fn actor() -> Party {
    Party { id: "spiffe://acme.example/agent/a".into(), kind: "agent".into() }
}

fn enrolment(issued_at: u64) -> String {
    json!({ "request": receipt::Request::sign(issued_at, &actor(), &key(1)) }).to_string()
}

fn asked() -> Asked {
    let action = spanseal_authority::action::Action {
        kind: "secret.rotate".into(),
        target: Some("vault:prod/db".into()),
        tool: None,
        arguments: None,
        salt: [4; 16],
    };
    Asked {
        id: "01".repeat(16),
        action: AskedAction {
            kind: action.kind.clone(),
            target: action.target.clone(),
            tool: None,
            arguments: None,
            salt: "04".repeat(16),
            digest: action.digest().to_string(),
        },
        arguments_salt: "05".repeat(16),
        revealed: None,
        actor: AskedParty::from(&actor()),
        actor_key: key(1).public().to_string(),
        audience: NAME.into(),
        initiator: None,
        owner: None,
        business: Default::default(),
        reason: None,
        asked: now_seconds(),
        deadline: now_seconds() + 60,
    }
}

#[tokio::test]
async fn a_development_set_up_enrols_whoever_asks_and_says_so() {
    let (code, answer) = Desk::open(true).call("POST", "/v1/provenance/enrolments", enrolment(now_seconds())).await;
    assert_eq!((code, &answer["dev"], &answer["audience"]), (200, &json!(true), &json!(NAME)));
    let receipt = Receipt::read_unverified(answer["receipt"].as_str().unwrap()).unwrap();
    assert_eq!((receipt.actor.clone(), receipt.thumbprint()), (actor(), key(1).public().thumbprint()));
    assert_eq!(receipt.method, receipt::Method::Dev);
    assert!(receipt.expires > now_seconds());
    let named: Vec<_> = answer["approvers"].as_array().unwrap().iter().map(|one| one["name"].clone()).collect();
    assert!(named.contains(&json!(DEV_APPROVER)) && named.contains(&json!("bob")), "{named:?}");
}

#[tokio::test]
async fn nobody_else_enrols_without_proof() {
    let desk = Desk::open(false);
    let (code, answer) = desk.call("POST", "/v1/provenance/enrolments", enrolment(now_seconds())).await;
    assert_eq!(code, 403);
    assert!(answer["remedy"].as_str().unwrap().contains("[[authority.actor]]"), "{answer}");
}

#[tokio::test]
async fn a_request_that_is_not_the_keys_own_or_of_another_time_is_refused() {
    let desk = Desk::open(true);
    let old = enrolment(now_seconds() - 120);
    for (body, cause) in
        [(old.as_str(), "another time"), ("{}", "missing field"), ("{\"request\":\"a.b.c\"}", "base64")]
    {
        let (code, answer) = desk.call("POST", "/v1/provenance/enrolments", body.to_owned()).await;
        assert_eq!(code, 400, "{answer}");
        assert!(answer["error"].as_str().unwrap().contains(cause), "{answer}");
    }
    let long = "x".repeat(BODY_BYTES_MAX + 1);
    assert_eq!(desk.call("POST", "/v1/provenance/enrolments", long).await.0, 400);
}

#[tokio::test]
async fn before_the_data_directory_is_open_agents_are_asked_to_wait() {
    let closed = router(Arc::new(Reception::default()));
    let (code, answer) = call(closed, "POST", "/v1/provenance/enrolments", enrolment(now_seconds())).await;
    assert_eq!((code, &answer["error"]), (503, &json!("the collector is starting")));
}

#[tokio::test]
async fn a_request_waits_until_somebody_known_signs_an_approval_of_it() {
    let desk = Desk::open(false);
    let path = format!("/v1/provenance/approvals/{}", asked().id);
    assert_eq!(desk.call("GET", &path, "").await.0, 404);
    assert_eq!(desk.ask(&asked()).await, (200, json!({"state": "pending"})));
    assert_eq!(desk.ask(&asked()).await.0, 409, "the same id again");
    assert_eq!(desk.call("GET", &path, "").await, (200, json!({"state": "pending"})));
    let (_, shown) = desk.call("GET", &format!("{path}/request"), "").await;
    assert_eq!(serde_json::from_value::<Asked>(shown).unwrap().action, asked().action);

    let times = (now_seconds(), now_seconds() + 60);
    let approval = asked().approval("bob", "apr-1".into(), times).unwrap();
    let post = async |approval: Approval, seed| {
        let body = json!({ "approval": approval.sign(&key(seed)) }).to_string();
        desk.call("POST", &format!("{path}/answer"), body).await
    };
    assert_eq!(post(approval.clone(), 9).await.0, 403, "nobody's key");
    assert_eq!(post(Approval { actor: "somebody".into(), ..approval.clone() }, 2).await.0, 403, "another actor");
    assert_eq!(post(approval.clone(), 2).await.0, 200);
    assert_eq!(post(approval, 2).await.0, 409, "it is answered");
    let (_, answer) = desk.call("GET", &path, "").await;
    assert_eq!((&answer["state"], &answer["arguments_salt"]), (&json!("approved"), &json!("05".repeat(16))));
}

#[tokio::test]
async fn a_development_set_up_approves_at_once() {
    let desk = Desk::open(true);
    let (code, answer) = desk.ask(&asked()).await;
    assert_eq!((code, &answer["state"]), (200, &json!("approved")));
    let approval = agents(desk.folder.path(), true).authority.answers(&asked(), answer["approval"].as_str().unwrap());
    assert_eq!(approval.unwrap().approver, DEV_APPROVER);
    assert!(
        !desk.folder.path().join("approvals").exists(),
        "nothing is kept, so that a thousand actions cost the same"
    );
}

#[tokio::test]
async fn what_is_wrong_with_a_request_is_named() {
    let desk = Desk::open(true);
    let wrong = async |change: fn(&mut Asked)| {
        let mut asked = asked();
        change(&mut asked);
        let (code, answer) = desk.ask(&asked).await;
        assert_eq!(code, 400, "{answer}");
        answer["error"].as_str().unwrap().to_owned()
    };
    assert_eq!(wrong(|asked| asked.audience = "other".into()).await, "this is not \"other\"");
    assert!(wrong(|asked| asked.deadline += 8 * 86_400).await.contains("more than a week away"));
    assert!(wrong(|asked| asked.id = "../../etc/passwd".into()).await.contains("`id`"));
    assert!(wrong(|asked| asked.action.digest = "00".repeat(32)).await.contains("digest"));
    assert_eq!(desk.call("GET", "/v1/provenance/approvals/..%2Fx", "").await.0, 404);
}

#[tokio::test]
async fn a_deadline_that_went_by_is_told_and_cleaned_up_later() {
    let desk = Desk::open(false);
    let late = Asked { deadline: now_seconds() - 1, ..asked() };
    desk.ask(&late).await;
    let path = format!("/v1/provenance/approvals/{}", late.id);
    assert_eq!(desk.call("GET", &path, "").await, (200, json!({"state": "expired"})));
    let folder = Folder::at(desk.folder.path().join("approvals"));
    let next = Asked { id: "02".repeat(16), ..asked() };
    folder.ask(&next, now_seconds() + 100_000).unwrap();
    assert_eq!(folder.requests().unwrap().len(), 1);
}

#[test]
fn a_folder_takes_so_many_requests_and_no_more() {
    let place = tempfile::tempdir().unwrap();
    let folder = Folder::at(place.path());
    let numbered = |number: u32| Asked { id: format!("{number:032x}"), ..asked() };
    for number in 0..1024 {
        let text = serde_json::to_string(&numbered(number)).unwrap();
        std::fs::write(place.path().join(format!("{number:032x}.request.json")), text).unwrap();
    }
    let refused = folder.ask(&numbered(1024), now_seconds()).unwrap_err();
    assert!(matches!(refused, FolderError::Full { kept: 1024 }), "{refused}");
}
