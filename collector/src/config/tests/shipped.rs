//! The shipped configuration: what it says is true.

use toml::{Table, Value};

use super::super::raw::Raw;
use super::Config;

const SHIPPED: &str = include_str!("../../../../pipelines/configs/embedded.toml");

#[test]
fn parses_as_shipped() {
    Config::parse(SHIPPED).unwrap();
}

#[test]
fn parses_with_every_setting_uncommented() {
    let text = toml::to_string(&uncommented()).unwrap();
    Config::parse(&text).unwrap();
}

/// Both ways: every setting is in the file, and the value that stands there is the default.
#[test]
fn shows_every_setting_with_its_default() {
    let mut shown = uncommented();
    for (path, example) in EXAMPLES {
        let taken = take(&mut shown, path);
        assert!(taken.is_some(), "{path} is an example in the file");
        assert_eq!(taken, Some(example.parse::<Table>().unwrap().remove("x").unwrap()), "{path}");
    }
    let mut defaults = Table::try_from(Raw::default()).unwrap();
    for list in ["forward", "authority.actor", "authority.approver", "authority.enroller"] {
        assert_eq!(take(&mut defaults, list), Some(Value::Array(vec![])), "{list}");
    }
    assert_eq!(shown, defaults);
}

/// What has no default, and the example that stands in its place.
const EXAMPLES: &[(&str, &str)] = &[
    ("name", "x = 'acme.example/agents'"),
    ("seal.streams", "x = 4"),
    ("cut.subject", "x = 'user.id'"),
    ("forward", BACKEND),
    ("authority.audience", "x = 'acme.example/agents'"),
    (
        "authority.actor",
        "[[x]]\nid = 'spiffe://acme.example/agent/deployer'\nowner = 'team-payments'\n\
         key = 'ed25519:11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo='",
    ),
    (
        "authority.approver",
        "[[x]]\nname = 'carol@acme.example'\nkey = 'ed25519:PUAXw+hDiVqStwqnTRt+vJyYLM8uxJaMwM1V8Sr0Zgw='",
    ),
    (
        "authority.enroller",
        "[[x]]\nname = 'acme.example/agents-west'\nkey = 'ed25519:gTl3Dqh9F19Wo1Rmw0x+zMuNipG07jeiXfYPW4/Js5Q='",
    ),
];

/// A backend's settings but for name, endpoint, URL and headers are the defaults.
const BACKEND: &str = "
[[x]]
name = 'phoenix'
endpoint = 'http://127.0.0.1:6006'
protocol = 'grpc'
compression = 'none'
signals = ['traces', 'logs', 'metrics']
timeout_seconds = 10
event_url = 'http://127.0.0.1:4319/event/{event}'
header = [{ name = 'authorization', file = 'phoenix.token' }]
";

#[test]
fn shows_the_defaults_of_a_backend() {
    let backend = Config::parse("[[forward]]\nname = 'b'\nendpoint = 'http://h'").unwrap().forward.remove(0);
    let shown = toml::to_string(&uncommented()).unwrap();
    let shown = Config::parse(&shown).unwrap().forward.remove(0);
    let defaults = (backend.protocol, backend.timeout, backend.signals, backend.compression);
    assert_eq!((shown.protocol, shown.timeout, shown.signals, shown.compression), defaults);
}

/// The file with `#setting = value` and `#[section]` uncommented; prose has a space after its `#`.
fn uncommented() -> Table {
    let line = |line: &'static str| match line.strip_prefix('#') {
        Some(setting) if !setting.starts_with(' ') => setting,
        _ => line,
    };
    SHIPPED.lines().map(line).collect::<Vec<_>>().join("\n").parse().unwrap()
}

fn take(table: &mut Table, path: &str) -> Option<Value> {
    match path.split_once('.') {
        None => table.remove(path),
        Some((section, rest)) => take(table.get_mut(section)?.as_table_mut()?, rest),
    }
}
