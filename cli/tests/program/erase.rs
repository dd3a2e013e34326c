//! What is kept out of the ledger is nowhere in the clear, can be erased, and is said to be erased.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};
use spanseal_collector::seal::subjects::SubjectFile;
use spanseal_ledger::StreamId;

use crate::server::{Server, run};

/// Stands in every value that is kept out, and nowhere else.
const SECRET: &str = "swordfish";
/// Stands in values that are sealed in the clear.
const OPEN: &str = "marlin";
const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const OTHER_TRACE: &str = "1af7651916cd43dd8448eb211c80319c";
const WHO: [&str; 4] = ["--requested-by", "dpo@acme.example", "--legal-basis", "GDPR article 17"];

pub(crate) struct Scene {
    folder: tempfile::TempDir,
    server: Option<Server>,
}

impl Scene {
    pub(crate) fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = "[cut]\nkeep_out = [\"prompt\", \"user.id\"]\nsubject = \"user.id\"\n";
        fs::write(folder.path().join("spanseal.toml"), config).unwrap();
        let mut scene = Self { folder, server: None };
        scene.restart();
        scene
    }

    fn restart(&mut self) {
        let config = self.path("spanseal.toml");
        self.server = Some(Server::start(&self.path("data"), "127.0.0.1:0", &["--config", &config.to_string_lossy()]));
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn stop(&mut self) {
        assert!(self.server.take().unwrap().terminate().success());
    }

    /// Sends one request over OTLP/HTTP with JSON.
    pub(crate) fn send(&self, request: &Value) {
        let body = request.to_string();
        let otlp = &self.server.as_ref().unwrap().otlp;
        let mut stream = TcpStream::connect(otlp).unwrap();
        let head = format!(
            "POST /v1/traces HTTP/1.1\r\nhost: {otlp}\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
            body.len()
        );
        stream.write_all((head + &body).as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }

    /// Runs a command on the data directory, and returns its exit code and JSON.
    fn spanseal(&self, arguments: &[&str]) -> (i32, Value) {
        let data = self.path("data");
        let arguments: Vec<&str> =
            arguments.iter().copied().chain(["--data", data.to_str().unwrap(), "--json"]).collect();
        let (code, said, error) = run(&arguments);
        let value = serde_json::from_str(&said).unwrap_or_else(|_| panic!("{arguments:?} said {said:?} and {error:?}"));
        (code.unwrap(), value)
    }

    /// Waits until everything sealed is indexed.
    pub(crate) fn indexed(&self) {
        for _ in 0..200 {
            let data = self.path("data");
            let (_, said, _) = run(&["find", "--data", data.to_str().unwrap(), "--json"]);
            let found: Value = serde_json::from_str(&said).unwrap_or_default();
            let progress = &found["progress"];
            if found["rows"].as_array().is_some_and(|rows| !rows.is_empty()) && progress["indexed"] == progress["size"]
            {
                return;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("not indexed after ten seconds");
    }

    /// Returns the files of the data directory that hold these bytes.
    fn holding(&self, text: &str) -> Vec<String> {
        let mut holding = Vec::new();
        let mut directories = vec![self.path("data")];
        while let Some(directory) = directories.pop() {
            for entry in fs::read_dir(directory).unwrap() {
                let path = entry.unwrap().path();
                let name = path.file_name().unwrap().to_string_lossy().into_owned();
                if path.is_dir() {
                    directories.push(path);
                } else if name != "control.sock"
                    && fs::read(&path).unwrap().windows(text.len()).any(|window| window == text.as_bytes())
                {
                    holding.push(name);
                }
            }
        }
        holding.sort();
        holding
    }

    /// Verifies, and returns the exit code and the codes of what was found.
    fn verify(&self, directory: &Path) -> (i32, Vec<String>) {
        let (trust, directory) = (self.path("trust"), directory.to_str().unwrap());
        let arguments = ["verify", directory, "--trust", trust.to_str().unwrap(), "--json"];
        let (code, said, error) = run(&arguments);
        let report: Value = serde_json::from_str(&said).unwrap_or_else(|_| panic!("{said}{error}"));
        let faults = report["faults"].as_array().unwrap();
        (code.unwrap(), faults.iter().map(|fault| fault["code"].as_str().unwrap().to_owned()).collect())
    }

    /// Flips a byte of each payload record in turn in a copy; verify must name each.
    #[track_caller]
    fn flips_are_named(&self, records: usize) {
        let copy = self.path("copy");
        let mut flipped = 0;
        loop {
            let _ = fs::remove_dir_all(&copy);
            let segments = copy_directory(&self.path("data"), &copy);
            let mut starts = segments.into_iter().flat_map(|segment| {
                let bytes = fs::read(&segment).unwrap();
                let starts: Vec<usize> =
                    (0..bytes.len()).filter(|at| bytes[*at..].starts_with(b"spanseal/payl/v1")).collect();
                starts.into_iter().map(move |start| (segment.clone(), start))
            });
            let Some((segment, start)) = starts.nth(flipped) else { break };
            let mut bytes = fs::read(&segment).unwrap();
            bytes[start + 110] ^= 1;
            fs::write(segment, bytes).unwrap();
            let (code, faults) = self.verify(&copy);
            assert_eq!(code, 1, "record {flipped}: {faults:?}");
            assert!(faults.iter().any(|code| code == "damaged" || code == "payload_mismatch"), "{faults:?}");
            flipped += 1;
        }
        assert_eq!(flipped, records);
    }
}

/// Copies what is verified, and returns the segments of streams.
fn copy_directory(from: &Path, to: &Path) -> Vec<PathBuf> {
    let mut segments = Vec::new();
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let (path, target) = (entry.as_ref().unwrap().path(), to.join(entry.unwrap().file_name()));
        if path.is_dir() {
            segments.extend(copy_directory(&path, &target));
        } else if path.extension().is_none_or(|extension| extension != "sock") {
            fs::copy(&path, &target).unwrap();
            if target.extension().is_some_and(|extension| extension == "seg") && !to.ends_with("rootlog") {
                segments.push(target);
            }
        }
    }
    segments
}

fn attribute(key: &str, value: Value) -> Value {
    json!({ "key": key, "value": value })
}

fn secret(text: &str) -> Value {
    attribute("prompt", json!({ "stringValue": format!("{SECRET} {text}") }))
}

fn open(text: &str) -> Value {
    attribute("note", json!({ "stringValue": format!("{OPEN} {text}") }))
}

fn span(trace: &str, id: &str, attributes: Vec<Value>) -> Value {
    json!({
        "traceId": trace, "spanId": id, "name": "chat", "kind": 1,
        "startTimeUnixNano": "1795000000000000000", "endTimeUnixNano": "1795000001000000000",
        "attributes": attributes,
        "events": [{ "name": "said", "timeUnixNano": "1795000000500000000", "attributes": [secret("event"), open("event")] }],
        "links": [{ "traceId": trace, "spanId": "00f067aa0ba902b7", "attributes": [secret("link"), open("link")] }],
    })
}

/// A person's span with the kept-out key in every place that has attributes, and one that names nobody.
fn request() -> Value {
    let nested = json!({ "kvlistValue": { "values": [{ "key": "inner", "value": { "stringValue": format!("{SECRET} list") } }] } });
    let array = json!({ "arrayValue": { "values": [{ "stringValue": format!("{SECRET} array") }] } });
    // "swordfish" as bytes.
    let bytes = json!({ "bytesValue": "c3dvcmRmaXNo" });
    let user = attribute("user.id", json!({ "stringValue": format!("alice-{SECRET}") }));
    let keys = |value| attribute("prompt", value);
    json!({ "resourceSpans": [{
        "resource": { "attributes": [attribute("service.name", json!({ "stringValue": "agent" })), secret("resource"), open("resource")] },
        "scopeSpans": [{
            "scope": { "name": "tests", "attributes": [secret("scope")] },
            "spans": [
                span(TRACE, "b7ad6b7169203331", vec![user.clone(), secret("span"), open("span")]),
                span(TRACE, "b7ad6b7169203332", vec![user.clone(), keys(nested), keys(array), keys(bytes)]),
                span(OTHER_TRACE, "b7ad6b7169203333", vec![secret("nobody's"), open("span")]),
            ],
        }],
    }] })
}

fn alice() -> String {
    format!("alice-{SECRET}")
}

#[test]
fn what_is_kept_out_is_nowhere_in_the_clear_and_erasing_it_is_shown_and_proven() {
    let mut scene = Scene::start();
    scene.send(&request());
    scene.indexed();
    let open = scene.holding(OPEN);
    assert!(open.iter().any(|file| file.ends_with(".seg")), "what is not kept out is found: {open:?}");
    assert!(open.iter().all(|file| !file.starts_with("index.sqlite")), "the index has no texts: {open:?}");
    // Whose key is whose stands beside the keys, until it is erased.
    assert!(
        scene.holding(SECRET).iter().all(|file| file.starts_with("subjects.sqlite")),
        "{:?}",
        scene.holding(SECRET)
    );
    assert_ne!(scene.holding(SECRET), [""; 0]);

    let (code, dry) = scene.spanseal(&["erase", &alice(), "--dry-run"]);
    assert_eq!((code, &dry["concerned"]["events"], &dry["concerned"]["payload_records"]), (0, &json!(2), &json!(2)));
    assert_eq!(dry["concerned"]["traces"], json!([TRACE]));
    let id = dry["subject"].as_str().unwrap();
    let (_, why) = scene.spanseal(&["why", TRACE]);
    assert_eq!(why["tree"][1]["cuts"][0]["subject"], id);
    assert!(why["tree"][1]["cuts"][0].get("erased").is_none(), "{why:#}");
    let id_bytes: [u8; 16] = id.parse::<StreamId>().unwrap().0;
    let key = |scene: &Scene| SubjectFile::open_reader(&scene.path("data/subjects.sqlite")).unwrap().find(&id_bytes);
    assert!(key(&scene).unwrap().is_some());

    let alice = alice();
    let erase = ["erase", &alice].into_iter().chain(WHO).collect::<Vec<_>>();
    let (code, erased) = scene.spanseal(&erase);
    assert_eq!(code, 0, "{erased:#}");
    let event = erased["erased"]["event"].as_str().unwrap();
    assert!(key(&scene).unwrap().is_none());
    assert_eq!(scene.holding(SECRET), [""; 0], "and the name is gone");
    let (code, again) = scene.spanseal(&erase);
    assert_eq!(code, 1, "{again:#}");

    // The index need not know yet; the process dies; another one starts.
    is_shown(&scene, event);
    scene.server.take().unwrap().kill_9();
    scene.restart();
    scene.indexed();
    is_shown(&scene, event);
    let (_, found) = scene.spanseal(&["find", "--subject", id]);
    assert_eq!(found["rows"].as_array().unwrap().len(), 3, "{found:#}");

    // What is left: the resource, the scope, and the span that names nobody. The server need not run.
    scene.stop();
    let (code, shared) = scene.spanseal(&["why", OTHER_TRACE]);
    assert_eq!(code, 0);
    let other = shared["tree"][0]["cuts"][0]["subject"].as_str().unwrap().to_owned();
    let erase = ["erase", "--trace", OTHER_TRACE].into_iter().chain(WHO).collect::<Vec<_>>();
    let (code, erased) = scene.spanseal(&erase);
    assert_eq!((code, erased["subject"].as_str()), (0, Some(other.as_str())), "{erased:#}");

    let (data, trust) = (scene.path("data"), scene.path("trust"));
    let (code, said, error) = run(&["keys", "pin", trust.to_str().unwrap(), "--data", data.to_str().unwrap()]);
    assert_eq!(code, Some(0), "{said}{error}");
    assert_eq!(scene.verify(&data), (0, vec![]), "every proof stays valid");
    scene.flips_are_named(5);
}

/// The default text and the attributes say that the values are erased, when, by whom, why, and where that stands.
#[track_caller]
fn is_shown(scene: &Scene, event: &str) {
    let data = scene.path("data");
    let (code, said, _) = run(&["why", TRACE, "--attributes", "--data", data.to_str().unwrap()]);
    assert_eq!(code, Some(0));
    let said = said.split_whitespace().filter(|word| !word.contains('│')).collect::<Vec<_>>().join(" ");
    for expected in [
        &format!("at the request of dpo@acme.example (GDPR article 17), event {event}"),
        "prompt = [erased 20",
        &format!("erasure {event} says key of subject"),
    ] {
        assert!(said.contains(expected), "{expected:?} is not in:\n{said}");
    }
    assert!(said.contains("hashed again"), "{said}");
}

#[test]
fn a_legal_hold_refuses_an_erasure_whether_the_server_runs_or_not() {
    let mut scene = Scene::start();
    scene.send(&request());
    scene.indexed();
    let alice = alice();
    let by = ["--by", "legal@acme.example", "--reason", "case 7"];
    let with = |what: &[&'static str], more: &[&'static str], alice: &str| -> Vec<String> {
        what.iter().copied().chain([alice]).chain(more.iter().copied()).map(str::to_owned).collect()
    };
    let hold = |scene: &Scene, what: &'static str| {
        let arguments = with(&["hold", what], &by, &alice);
        scene.spanseal(&arguments.iter().map(String::as_str).collect::<Vec<_>>())
    };
    let refused = |scene: &Scene, arguments: &[&str]| {
        let (code, answer) = scene.spanseal(&arguments.iter().copied().chain(WHO).collect::<Vec<_>>());
        assert_eq!(code, 1, "{answer:#}");
        assert!(answer["refused"].as_str().unwrap().contains("case 7"), "{answer:#}");
    };
    assert_eq!(hold(&scene, "remove").0, 1, "there is none");
    assert_eq!(hold(&scene, "add").0, 0);
    assert_eq!(hold(&scene, "add").0, 1, "there is one");
    refused(&scene, &["erase", &alice]);
    refused(&scene, &["erase", &alice, "--dry-run"]);
    let (_, list) = scene.spanseal(&["hold", "list"]);
    assert_eq!(
        (list[0]["reason"].as_str(), list[0]["placed_by"].as_str()),
        (Some("case 7"), Some("legal@acme.example"))
    );
    scene.stop();
    refused(&scene, &["erase", &alice]);
    assert_eq!(hold(&scene, "remove").0, 0);
    // A hold on the trace keeps everybody's values in it.
    let trace = ["--trace", TRACE].into_iter().chain(by);
    assert_eq!(scene.spanseal(&["hold", "add"].into_iter().chain(trace).collect::<Vec<_>>()).0, 0);
    refused(&scene, &["erase", &alice]);
    let trace = ["--trace", TRACE].into_iter().chain(by);
    assert_eq!(scene.spanseal(&["hold", "remove"].into_iter().chain(trace).collect::<Vec<_>>()).0, 0);
    let erase: Vec<&str> = ["erase", &alice].into_iter().chain(WHO).collect();
    assert_eq!(scene.spanseal(&erase).0, 0);
    // Holds and releases are findings, which name nobody.
    let (_, why) = scene.spanseal(&["why", TRACE]);
    assert_eq!(why["tree"][1]["cuts"][0]["erased"]["legal_basis"], "GDPR article 17", "{why:#}");
    assert_eq!(scene.holding(SECRET), [""; 0]);
}

#[test]
fn a_hold_on_a_trace_keeps_what_its_resource_and_scope_say() {
    let mut scene = Scene::start();
    let bob = || attribute("user.id", json!({ "stringValue": "bob" }));
    let of = |resource: Vec<Value>, scope: Vec<Value>, trace: &str, id: &str| {
        json!({ "resourceSpans": [{
            "resource": { "attributes": resource },
            "scopeSpans": [{ "scope": { "name": "tests", "attributes": scope }, "spans": [span(trace, id, vec![])] }],
        }] })
    };
    scene.send(&of(vec![bob(), secret("resource")], vec![], TRACE, "b7ad6b7169203331"));
    scene.send(&of(vec![], vec![secret("nobody's scope")], OTHER_TRACE, "b7ad6b7169203332"));
    scene.indexed();
    // `why` names the subject of what was cut, wherever it stood.
    let cut_of = |trace: &str, of: &str| {
        let why = scene.spanseal(&["why", trace]).1;
        let cuts = why["tree"][0]["cuts"].as_array().unwrap();
        cuts.iter().find(|cut| cut["of"] == of).unwrap()["subject"].as_str().unwrap().to_owned()
    };
    let (id_of_bob, shared) = (cut_of(TRACE, "resource"), cut_of(OTHER_TRACE, "scope"));
    assert_eq!(scene.spanseal(&["erase", "bob", "--dry-run"]).1["subject"], json!(id_of_bob));
    let shared = shared.as_str();
    for trace in [TRACE, OTHER_TRACE] {
        let by = ["--trace", trace, "--by", "legal@acme.example", "--reason", "case 7"];
        assert_eq!(scene.spanseal(&["hold", "add"].into_iter().chain(by).collect::<Vec<_>>()).0, 0);
    }
    let refused = |scene: &Scene, subject: &[&str], trace: &str| {
        let (code, answer) = scene.spanseal(&["erase"].iter().chain(subject).copied().chain(WHO).collect::<Vec<_>>());
        assert_eq!(code, 1, "{answer:#}");
        assert!(answer["refused"].as_str().unwrap().contains("case 7"), "{answer:#}");
        assert_eq!(answer["concerned"]["traces"], json!([trace]), "{answer:#}");
    };
    // By the index, and by the log alone.
    refused(&scene, &["bob"], TRACE);
    refused(&scene, &["--id", shared], OTHER_TRACE);
    scene.stop();
    fs::remove_file(scene.path("data/index.sqlite")).unwrap();
    refused(&scene, &["bob"], TRACE);
    refused(&scene, &["--id", shared], OTHER_TRACE);
    for trace in [TRACE, OTHER_TRACE] {
        let by = ["--trace", trace, "--by", "legal@acme.example", "--reason", "over"];
        assert_eq!(scene.spanseal(&["hold", "remove"].into_iter().chain(by).collect::<Vec<_>>()).0, 0);
    }
    for subject in [&["bob"][..], &["--id", shared]] {
        let erase = ["erase"].iter().chain(subject).copied().chain(WHO).collect::<Vec<_>>();
        let (code, answer) = scene.spanseal(&erase);
        assert_eq!(code, 0, "{answer:#}");
    }
}

/// The order that the server takes says what was known of holds when what it concerns was looked for.
#[test]
fn an_order_past_the_program_does_not_get_past_a_hold_that_it_has_not_seen() {
    use std::os::unix::net::UnixStream;
    let scene = Scene::start();
    scene.send(&request());
    scene.indexed();
    let id = scene.spanseal(&["erase", &alice(), "--dry-run"]).1["subject"].as_str().unwrap().to_owned();
    let by = ["--trace", TRACE, "--by", "legal@acme.example", "--reason", "case 7"];
    assert_eq!(scene.spanseal(&["hold", "add"].into_iter().chain(by).collect::<Vec<_>>()).0, 0);
    let order = |more: &str| {
        let mut socket = UnixStream::connect(scene.path("data/control.sock")).unwrap();
        let order = format!(r#"{{"erase":{{"id":"{id}","requested_by":"dpo","legal_basis":"case"{more}}}}}"#);
        socket.write_all((order + "\n").as_bytes()).unwrap();
        let mut answer = String::new();
        socket.read_to_string(&mut answer).unwrap();
        answer
    };
    assert!(order("").starts_with(r#"{"no_order":"#), "{}", order(""));
    assert!(order(r#","changes_seen":0"#).starts_with(r#"{"refused":"#), "{}", order(r#","changes_seen":0"#));
    assert_eq!(scene.spanseal(&["erase", &alice(), "--dry-run"]).1["subject"], *id, "it is still there");
}

#[test]
fn says_what_cannot_be_done() {
    let folder = tempfile::tempdir().unwrap();
    let nowhere = folder.path().join("nowhere");
    let erase = ["erase", "alice", "--dry-run", "--data", nowhere.to_str().unwrap()];
    let (code, _, error) = run(&erase);
    assert_eq!(code, Some(2));
    assert!(error.contains("is no data directory"), "{error}");
    assert!(!nowhere.exists(), "nothing is made");
    let (code, _, error) = run(&["erase", "alice"]);
    assert_eq!(code, Some(2));
    assert!(error.contains("--requested-by"), "{error}");
}
