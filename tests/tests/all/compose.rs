//! No container can be run on every machine, so the compose file is read: what it names is there, and it stays on loopback.

use std::fs;
use std::path::Path;

use serde_json::Value;
use spanseal_collector::config::Config;

#[test]
fn the_compose_file_names_what_is_there_and_listens_on_loopback_only() {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let compose: Value =
        serde_saphyr::from_str(&fs::read_to_string(repository.join("docker-compose.yml")).unwrap()).unwrap();
    let services = compose["services"].as_object().unwrap();
    assert!(services.contains_key("spanseal") && services.contains_key("jaeger"));
    for (name, service) in services {
        for port in service["ports"].as_array().unwrap() {
            assert!(port.as_str().unwrap().starts_with("127.0.0.1:"), "{name} listens on {port}");
        }
        match service["image"].as_str() {
            Some(image) => assert!(image.contains(':') && !image.ends_with(":latest"), "{image} is not pinned"),
            None => assert!(repository.join("Dockerfile").exists()),
        }
    }
    let mount = services["spanseal"]["volumes"][1].as_str().unwrap();
    let file = mount.split(':').next().unwrap();
    let config = Config::parse(&fs::read_to_string(repository.join(file)).unwrap()).unwrap();
    let backend = config.forward[0].endpoint.host().unwrap();
    assert!(services.contains_key(backend), "the configuration forwards to {backend}, which is no service");
}
