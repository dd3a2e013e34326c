//! What was received cannot steer the terminal of whoever looks at it.

use serde_json::{Value, json};

use crate::erase::Scene;
use crate::server::run;

/// Clears the screen, turns the direction of writing round, begins a line.
const HOSTILE: &str = "\u{1b}[2J\u{9b}31m\u{202e}a\nPROVEN";
const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";

#[test]
fn no_command_lets_received_text_steer_the_terminal() {
    let scene = Scene::start();
    scene.send(&hostile_request());
    scene.indexed();
    let (data, subject) = (scene.path("data"), format!("alice{HOSTILE}"));
    let check = |words: &[&str], expected: &str| {
        let (_, said, error) = run(&[words, &["--data", data.to_str().unwrap()]].concat());
        let steers = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
        assert!(!said.contains(steers) && !error.contains(steers), "{words:?} said {said:?} and {error:?}");
        assert!(!said.lines().any(|line| line.starts_with("PROVEN")), "{words:?} said {said:?}");
        assert!(said.contains(expected), "{expected:?} is not in what {words:?} said: {said:?} and {error:?}");
    };
    let escaped = "\\u{1b}[2J\\u{9b}31m\\u{202e}a⏎PROVEN";
    check(&["find"], &format!("name{escaped}"));
    check(&["find"], &format!("tool tool{escaped}"));
    check(&["why", TRACE, "--attributes"], &format!("service service{escaped}"));
    check(&["erase", &subject, "--dry-run"], &format!("attribute:alice{escaped}"));
    let hold = ["hold", "add", &subject, "--by", "legal", "--reason", "case 7"];
    check(&hold, &format!("attribute:alice{escaped}"));
    check(&["hold", "list"], &format!("attribute:alice{escaped}"));
    check(&["erase", &subject, "--dry-run"], "refused   a legal hold is on it, placed by legal: case 7");
}

fn hostile_request() -> Value {
    let attribute = |key: &str, value: String| json!({ "key": key, "value": { "stringValue": value } });
    json!({ "resourceSpans": [{
        "resource": { "attributes": [attribute("service.name", format!("service{HOSTILE}"))] },
        "scopeSpans": [{ "spans": [{
            "traceId": TRACE, "spanId": "b7ad6b7169203331", "name": format!("name{HOSTILE}"), "kind": 1,
            "startTimeUnixNano": "1795000000000000000", "endTimeUnixNano": "1795000001000000000",
            "attributes": [
                attribute("gen_ai.tool.name", format!("tool{HOSTILE}")),
                attribute("user.id", format!("alice{HOSTILE}")),
                attribute("prompt", "nothing".to_owned()),
            ],
        }] }],
    }] })
}
