//! Agents that ask the server for more than to be recorded: to be enrolled, and to be let.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use spanseal::approval::Desk;
use spanseal::{Actor, Key, Refused};

use crate::server::{Server, run};

const ACTOR: &str = "spiffe://acme.example/agent/deployer";

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Runs the SDK's example against a server, and returns what it printed.
fn example(otlp: &str) -> String {
    let program = PathBuf::from(env!("CARGO_BIN_EXE_spanseal"));
    let agent = program.parent().unwrap().join("examples/agent");
    let output = Command::new(&agent).env("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://{otlp}")).output();
    let output = output.unwrap_or_else(|error| panic!("{}: {error}", agent.display()));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Explains the trace of the first event that `find` has with these arguments.
#[track_caller]
fn explained(data: &Path, find: &[&str]) -> String {
    let mut last = String::new();
    for _ in 0..100 {
        let (code, found, error) = run(&[&["find", "--json", "--limit", "1", "--data", text(data)], find].concat());
        assert_eq!(code, Some(0), "{error}");
        let found: serde_json::Value = serde_json::from_str(&found).unwrap();
        if let Some(trace) = found["rows"][0]["trace"].as_str() {
            return run(&["why", trace, "--data", text(data)]).1;
        }
        last = found.to_string();
        std::thread::sleep(Duration::from_millis(50)); // the index follows
    }
    panic!("{find:?} finds nothing: {last}");
}

#[test]
fn a_first_governed_action_needs_no_set_up_and_its_verdict_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let server = Server::start(&data, "127.0.0.1:0", &["--dev"]);
    assert_eq!(example(&server.otlp), "3 spans exported, 0 lost\n");
    let why = explained(&data, &["--verdict", "proven"]);
    assert!(why.contains("PROVEN (dev root)") && why.contains("ticket:OPS-12"), "{why}");
    assert!(!why.contains("password was reset"), "arguments are digested: {why}");
    assert!(server.terminate().success());

    let (code, _, error) = run(&["up", "--data", text(&data), "--otlp", "127.0.0.1:0", "--http", "127.0.0.1:0"]);
    assert_eq!(code, Some(2));
    assert!(error.contains("belongs to a development set-up"), "{error}");
    let (code, _, error) = run(&["up", "--dev", "--data", text(&data), "--otlp", "0.0.0.0:0", "--http", "127.0.0.1:0"]);
    assert_eq!(code, Some(2));
    assert!(error.contains("0.0.0.0:0 is no loopback address"), "{error}");
}

#[test]
fn a_directory_of_another_kind_is_no_development_set_up() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    assert!(Server::start(&data, "127.0.0.1:0", &[]).terminate().success());
    let (code, _, error) =
        run(&["up", "--dev", "--data", text(&data), "--otlp", "127.0.0.1:0", "--http", "127.0.0.1:0"]);
    assert_eq!(code, Some(2));
    assert!(error.contains("belongs to no development set-up"), "{error}");
}

/// A server that knows one actor's key and one approver's, and an agent that asks it for approvals.
struct Office {
    folder: tempfile::TempDir,
    server: Server,
    guard: spanseal::Guard,
}

impl Office {
    async fn open() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let key = Key::create(folder.path().join("agent.key")).unwrap();
        let (code, approver, error) =
            run(&["approvals", "key", text(&folder.path().join("bob.key")), "--name", "bob@acme.example"]);
        assert_eq!(code, Some(0), "{error}");
        let config = format!(
            "name = \"acme.example/agents\"\n[authority.governed]\nservices = [\"deploy-agent\"]\n\
             [[authority.actor]]\nid = \"{ACTOR}\"\nkey = \"{}\"\n{approver}",
            key.public()
        );
        std::fs::write(folder.path().join("spanseal.toml"), config).unwrap();
        let config = folder.path().join("spanseal.toml");
        let server = Server::start(&folder.path().join("data"), "127.0.0.1:0", &["--config", text(&config)]);
        let bob = approver.lines().find_map(|line| line.strip_prefix("key = ")).unwrap().trim_matches('"');
        let approvers = spanseal::Approvers::default().with("bob@acme.example", bob).unwrap();
        let desk = Desk::at(&format!("http://{}/v1/provenance/approvals", server.otlp)).unwrap();
        let guard = spanseal::init()
            .service("deploy-agent")
            .endpoint(format!("http://{}", server.otlp))
            .audience("acme.example/agents")
            .key(key)
            .actor(Actor::agent(ACTOR).on_behalf_of("alice@acme.example"))
            .approvers(approvers)
            .approvals(desk.wait(Duration::from_secs(20)))
            .start()
            .unwrap();
        Self { folder, server, guard }
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn url(&self) -> String {
        format!("http://{}/v1/provenance/approvals", self.server.otlp)
    }

    /// Starts an action that waits for leave, and returns it and the id of its request.
    async fn ask(&self, target: &str) -> (tokio::task::JoinHandle<Result<(), Refused>>, String) {
        let action = self.guard.action("secret.rotate").target(target).tool("rotate_secret").because("quarterly");
        let asking = tokio::spawn(action.run(async { Ok::<_, Refused>(()) }));
        for _ in 0..200 {
            let (code, listed, error) = run(&["approvals", "list", "--json", "--data", text(&self.data())]);
            assert_eq!(code, Some(0), "{error}");
            let listed: serde_json::Value = serde_json::from_str(&listed).unwrap();
            if let Some(id) = listed["requests"][0]["id"].as_str() {
                return (asking, id.to_owned());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("nothing was asked");
    }

    fn approvals(&self, arguments: &[&str]) -> (Option<i32>, String, String) {
        run(&[&["approvals"], arguments].concat())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_looks_approves_and_the_action_runs() {
    let office = Office::open().await;
    let (asking, id) = office.ask("vault:prod/db").await;
    let data = office.data();
    let (_, shown, _) = office.approvals(&["show", &id, "--data", text(&data)]);
    for fact in ["secret.rotate", "vault:prod/db", ACTOR, "alice@acme.example", "quarterly", "digest"] {
        assert!(shown.contains(fact), "{fact}: {shown}");
    }
    let key = office.folder.path().join("bob.key");
    let approve = |name: &'static str| {
        let (key, url) = (text(&key).to_owned(), office.url());
        office.approvals(&["approve", &id, "--key", &key, "--name", name, "--url", &url, "--because", "planned"])
    };
    let (code, _, error) = approve("alice@acme.example");
    assert_eq!(code, Some(2));
    assert!(error.contains("nobody approves his own"), "{error}");
    let (code, _, error) = approve("carol@acme.example");
    assert_eq!(code, Some(2));
    assert!(error.contains("403") && error.contains("the approver differs"), "{error}");
    let (code, said, error) = approve("bob@acme.example");
    assert_eq!(code, Some(0), "{error}");
    assert!(said.starts_with("approved apr-"), "{said}");
    asking.await.unwrap().unwrap();

    let public = spanseal::Key::file(&key).unwrap().public();
    let verify = |key: &str| {
        office.approvals(&["verify", &id, "--name", "bob@acme.example", "--key", key, "--data", text(&data)])
    };
    assert_eq!(verify(&public).0, Some(0));
    assert_eq!(verify(&spanseal::Key::from_seed(&[9; 32]).public()).0, Some(1));
    let Office { guard, server, folder } = office;
    assert_eq!(guard.shutdown().await.lost, 0);
    let why = explained(&folder.path().join("data"), &["--verdict", "proven"]);
    assert!(why.contains("PROVEN ") && why.contains("bob@acme.example") && why.contains("planned"), "{why}");
    drop(server);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_denies_and_the_agent_is_told_why() {
    let office = Office::open().await;
    let (asking, id) = office.ask("vault:prod/root").await;
    let data = office.data();
    let deny = |because: &str| {
        office.approvals(&["deny", &id, "--name", "bob@acme.example", "--because", because, "--data", text(&data)])
    };
    assert_eq!(deny("not on a Friday").0, Some(0));
    assert_eq!(
        asking.await.unwrap(),
        Err(Refused::ApprovalDenied { by: "bob@acme.example".into(), reason: "not on a Friday".into() })
    );
    let (code, _, error) = deny("again");
    assert_eq!(code, Some(2));
    assert!(error.contains("is answered already"), "{error}");
    let Office { guard, folder, server } = office;
    guard.shutdown().await;
    let why = explained(&folder.path().join("data"), &["--tool", "rotate_secret"]);
    assert!(why.contains("REFUSED") && why.contains("bob@acme.example denied it: not on a Friday"), "{why}");
    drop(server);
}
