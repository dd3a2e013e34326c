use super::*;

/// The text has exactly these mistakes, as `path = value: fault`.
#[track_caller]
fn check(text: &str, expected: &[&str]) {
    let found: Vec<String> = match Config::parse(text) {
        Ok(_) => Vec::new(),
        Err(mistakes) => mistakes.iter().map(ToString::to_string).collect(),
    };
    assert_eq!(found, expected, "in:\n{text}");
}

#[test]
fn takes_an_empty_file() {
    let config = Config::default();
    assert_eq!(config.receive.listen, ["127.0.0.1:4317".parse().unwrap(), "127.0.0.1:4318".parse().unwrap()]);
    assert_eq!(config.receive.request_bytes_max, 67_108_864);
    assert!(config.forward.is_empty());
}

#[test]
fn takes_a_whole_backend() {
    let config = Config::parse(
        r#"
        [[forward]]
        name = "phoenix"
        endpoint = "http://127.0.0.1:6006"
        protocol = "http"
        event_url = "http://127.0.0.1:4319/event/{event}"
        header = [{ name = "Authorization", file = "phoenix.token" }, { name = "x-project", value = "agents" }]
        "#,
    )
    .unwrap();
    let [backend] = &config.forward[..] else { panic!("one backend is configured") };
    assert_eq!(backend.endpoint, "http://127.0.0.1:6006/v1/traces");
    assert_eq!(backend.timeout, Duration::from_secs(10));
    assert_eq!(backend.signals, Signal::ALL);
    assert_eq!(backend.headers[0].name, hyper::header::AUTHORIZATION);
    assert_eq!(backend.headers[0].source, HeaderSource::File("phoenix.token".into()));
    assert_eq!(backend.headers[1].source, HeaderSource::Value(HeaderValue::from_static("agents")));
}

#[test]
fn keeps_the_path_of_an_endpoint() {
    for (protocol, endpoint, expected) in [
        ("http", "https://host/otlp/v1/traces", "https://host/otlp/v1/traces"),
        ("http", "https://host:4318/", "https://host:4318/v1/traces"),
        ("grpc", "http://host:4317", "http://host:4317/"),
    ] {
        let text = format!("[[forward]]\nname='b'\nprotocol='{protocol}'\nendpoint='{endpoint}'");
        assert_eq!(Config::parse(&text).unwrap().forward[0].endpoint, expected);
    }
    let own = "[[forward]]\nname='b'\nprotocol='http'\nendpoint='http://host/ingest'\nsignals=['traces']";
    assert_eq!(Config::parse(own).unwrap().forward[0].endpoint, "http://host/ingest");
}

#[test]
fn names_the_place_where_the_text_is_no_toml() {
    let mistakes = Config::parse("[receive]\nlisten = ").unwrap_err().to_string();
    assert!(mistakes.contains("line 2"), "{mistakes}");
}

#[test]
fn reports_every_mistake_of_one_file() {
    check(
        r#"
        grace_second = 1
        grace_seconds = -1
        [receive]
        listen = ["localhost:4317", 4318, "127.0.0.1:1", "127.0.0.1:1"]
        request_bytes_max = "64 MiB"
        http2 = { frame_bytes_max = 1 }
        [http]
        listen = "127.0.0.1:1"
        "#,
        &[
            "grace_second = 1: there is no such setting; known here: `name`, `data_dir`, `grace_seconds`, \
             `receive`, `http`, `seal`, `cut`, `forward`, `index`, `authority`, `log`",
            "grace_seconds = -1: not a whole number from 0; write a whole number from 0",
            "receive.listen[1] = 4318: not a string; write a string",
            "receive.request_bytes_max = \"64 MiB\": not a whole number from 0; write a whole number from 0",
            "receive.listen[0] = \"localhost:4317\": no address; write IP:PORT, for example 127.0.0.1:4317, \
             and port 0 for any free port",
            "receive.listen[3] = \"127.0.0.1:1\": receive.listen[2] has it already; give each its own",
            "http.listen = \"127.0.0.1:1\": receive.listen[2] has it already; give each its own",
            "receive.http2.frame_bytes_max = 1: out of range; write a number from 16384 to 16777215",
        ],
    );
}

#[test]
fn refuses_each_value_that_cannot_be_used() {
    for (text, expected) in [
        (
            "name = 'a+b'",
            "name = \"a+b\": no deployment name; write 1 to 128 visible ASCII characters, none of them '+'",
        ),
        ("name = ''", "name = \"\": no deployment name; write 1 to 128 visible ASCII characters, none of them '+'"),
        ("data_dir = ''", "data_dir = \"\": must be set"),
        ("receive = 1", "receive = 1: not a table; write a table"),
        ("receive.listen = 'x'", "receive.listen = \"x\": not a list; write a list"),
        ("receive.listen = []", "receive.listen = []: no address in the list; name at least one"),
        (
            "receive.in_flight_bytes_max = 1048576",
            "receive.in_flight_bytes_max = 1048576: below 4 * receive.request_bytes_max, which is 268435456; \
             raise this or lower that",
        ),
        ("receive.connections_max = 0", "receive.connections_max = 0: out of range; write a number from 1 to 1000000"),
        (
            "receive.http1.buffer_bytes_max = 1",
            "receive.http1.buffer_bytes_max = 1: out of range; write a number from 8192 to 1073741824",
        ),
        ("seal.streams = 17", "seal.streams = 17: out of range; write a number from 1 to 16"),
        (
            "seal.window_entries_max = 0",
            "seal.window_entries_max = 0: out of range; write a number from 1 to 1073741824",
        ),
        (
            "seal.enrichment = ['k8s.*', '*']",
            "seal.enrichment[1] = \"*\": no attribute key; write one, or how some begin with one '*' at the end, for \
             example \"k8s.*\"",
        ),
        (
            "seal.enrichment = ['a', 'a']",
            "seal.enrichment[1] = \"a\": seal.enrichment[0] has it already; give each its own",
        ),
        (
            "seal.conflicts_per_second_max = 0",
            "seal.conflicts_per_second_max = 0: out of range; write a number from 1 to 1000000",
        ),
        ("cut.keep_out = ['a', '']", "cut.keep_out[1] = \"\": no attribute key; write at least one character"),
        ("cut.keep_out = ['a', 'a']", "cut.keep_out[1] = \"a\": cut.keep_out[0] has it already; give each its own"),
        ("cut.subject = ''", "cut.subject = \"\": no attribute key; write at least one character"),
        ("index.enabled = 1", "index.enabled = 1: not true or false; write true or false"),
        ("log.format = 'xml'", "log.format = \"xml\": not `text` or `json`; write `text` or `json`"),
    ] {
        check(text, &[expected]);
    }
}

#[test]
fn refuses_each_backend_that_cannot_be_used() {
    for (text, expected) in [
        ("endpoint = 'http://h'", "forward[0].name: must be set"),
        ("name = 'b'", "forward[0].endpoint: must be set"),
        (
            "name = 'b'\nendpoint = 'h:4317'",
            "forward[0].endpoint = \"h:4317\": no URL; write http:// or https:// and a host, \
             for example http://127.0.0.1:4317",
        ),
        (
            "name = 'a/b'\nendpoint = 'http://h'",
            "forward[0].name = \"a/b\": no name; write 1 to 64 of a-z, 0-9, '-' and '_'",
        ),
        (
            "name = 'b'\nendpoint = 'http://h'\nsignals = []",
            "forward[0].signals = []: no signal in the list; name at least one of \"traces\", \"logs\" and \"metrics\"",
        ),
        (
            "name = 'b'\nendpoint = 'http://h'\nsignals = ['logs', 'logs']",
            "forward[0].signals[1] = \"logs\": forward[0].signals[0] has it already; give each its own",
        ),
        (
            "name = 'b'\nendpoint = 'http://h'\nsignals = ['profiles']",
            "forward[0].signals[0] = \"profiles\": not one of `traces`, `logs`, `metrics`; write one of `traces`, `logs`, \
             `metrics`",
        ),
        (
            "name = 'b'\nendpoint = 'http://h'\ncompression = 'zstd'",
            "forward[0].compression = \"zstd\": not `none` or `gzip`; write `none` or `gzip`",
        ),
        (
            "name = 'b'\nendpoint = 'http://h/ingest'\nprotocol = 'http'",
            "forward[0].endpoint = \"http://h/ingest\": where logs and metrics go cannot be told from this path; end it in \
             /v1/traces, or set signals = [\"traces\"]",
        ),
        (
            "name = 'b'\nendpoint = 'http://h'\nevent_url = 'http://h'",
            "forward[0].event_url = \"http://h\": has no {event}; write it where the event id belongs",
        ),
        (
            "name = 'b'\nendpoint = 'http://h'\nheader = [{ name = 'x', file = 'f', env = 'E' }]",
            "forward[0].header[0]: 2 of value, file and env are set; set one",
        ),
        (
            "name = 'b'\nendpoint = 'http://h'\nheader = [{ name = 'x' }]",
            "forward[0].header[0]: 0 of value, file and env are set; set one",
        ),
        (
            "name = 'b'\nendpoint = 'http://h'\nheader = [{ name = 'X-Api-Key', value = 'hunter2' }]",
            "forward[0].header[0].value: a secret does not belong into a configuration; write it to a file and set \
             `file`, or set `env`",
        ),
        (
            "name = 'b'\nendpoint = 'http://h'\nheader = [{ name = 'a b', value = \"\\u0007\" }]",
            "forward[0].header[0].name = \"a b\": no HTTP header name; write for example \"authorization\"\n\
             forward[0].header[0].value = \"\\u0007\": no HTTP header value; write visible ASCII characters",
        ),
    ] {
        let lines: Vec<&str> = expected.lines().collect();
        check(&format!("[[forward]]\n{text}"), &lines);
    }
    let twice = "[[forward]]\nname='b'\nendpoint='http://h'\n[[forward]]\nname='b'\nendpoint='http://h'";
    check(twice, &["forward[1].name = \"b\": forward[0].name has it already; give each its own"]);
}

#[test]
fn reports_the_mistakes_about_authority_with_the_others() {
    check(
        "[authority]\nskew_seconds = 7200\n[[authority.actor]]\nid = 'a'\nkey = 'rsa'\n[http]\nlisten = 'x'",
        &[
            "http.listen = \"x\": no address; write IP:PORT, for example 127.0.0.1:4317, and port 0 for any free port",
            "authority.skew_seconds = \"7200\": too far apart; write 0 to 3600, and set the clocks",
            "authority.actor[0].key = \"rsa\": the key does not start with `ed25519:`; write `ed25519:` and the base64 of its \
             32 bytes",
        ],
    );
}

mod shipped;

#[test]
fn takes_whole_keys_and_beginnings_of_keys_as_enrichment() {
    let config = Config::parse("seal.enrichment = ['k8s.*', 'team']").unwrap();
    let is_enrichment = |key: &str| config.seal.enrichment.iter().any(|pattern| pattern.matches(key));
    for (key, expected) in
        [("k8s.pod.name", true), ("k8s.", true), ("k8s", false), ("xk8s.pod", false), ("team", true), ("teams", false)]
    {
        assert_eq!(is_enrichment(key), expected, "{key}");
    }
    assert!(Config::default().seal.enrichment.iter().any(|pattern| pattern.matches("host.name")));
    assert!(!Config::default().seal.enrichment.iter().any(|pattern| pattern.matches("service.name")));
}

#[test]
fn refuses_a_level_that_would_say_nothing() {
    for level in ["info", "OFF", "warn,spanseal_collector=debug", "info,hyper=off", "3"] {
        check(&format!("[log]\nlevel = '{level}'"), &[]);
    }
    for level in ["inof", "", "info,", "hyper=inof", "=info", "info,hyper", "info, hyper=off", "6"] {
        let text = format!("[log]\nlevel = '{level}'");
        let mistakes = Config::parse(&text).map(drop).unwrap_err().to_string();
        assert!(mistakes.starts_with("log.level") && mistakes.contains("write off, error, warn"), "{mistakes}");
    }
}
