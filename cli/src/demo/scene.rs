//! What the demo needs before it starts: keys, one approval, a configuration.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use spanseal::approval::{Terms, issue};
use spanseal_collector::config::Config;

use super::agent::{ACTOR, APPROVER, OWNER, TICKET, rotate};

/// The demo's folder and what lies in it.
pub(crate) struct Scene {
    pub(crate) folder: PathBuf,
    pub(crate) agent_key: PathBuf,
    pub(crate) approvals: PathBuf,
    pub(crate) approvers: PathBuf,
    pub(crate) trust: PathBuf,
    settings: String,
}

/// The deployment's name.
pub(crate) const DEPLOYMENT: &str = "demo.example/agents";

impl Scene {
    /// Makes keys for the agent and for one approver, who approves one action, and names both in a configuration.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub(crate) fn set(folder: &Path) -> anyhow::Result<Self> {
        let (agent_key, approvals) = (folder.join("agent.key"), folder.join("approvals.json"));
        let agent = spanseal::Key::create(&agent_key)?;
        let approver = spanseal::Key::create(folder.join("approver.key"))?;
        let now = SystemTime::now();
        let terms = Terms {
            audience: DEPLOYMENT,
            approver: APPROVER,
            actor: ACTOR,
            actor_key: &agent.public(),
            action: &rotate(),
            not_before: now - Duration::from_secs(60),
            expires: now + Duration::from_secs(3600),
            max_uses: 1,
            ticket: Some(TICKET),
            justification: Some("quarterly rotation"),
        };
        issue(&approver, &terms)?.write(&approvals)?;
        let approvers = folder.join("approvers.json");
        let bob = serde_json::json!([{"name": APPROVER, "key": approver.public()}]);
        fs::write(&approvers, bob.to_string())?;
        let settings = settings(&agent.public(), &approver.public());
        fs::write(folder.join("spanseal.toml"), &settings)?;
        Ok(Self { folder: folder.to_owned(), agent_key, approvals, approvers, trust: folder.join("trust"), settings })
    }

    /// Returns the configuration with its data in the folder's `data`.
    ///
    /// # Errors
    /// Never: the settings are the demo's own.
    pub(crate) fn config(&self, data: &str) -> anyhow::Result<Config> {
        let mut config = Config::parse(&self.settings)?;
        config.data_dir = self.folder.join(data);
        Ok(config)
    }
}

fn settings(agent_key: &str, approver_key: &str) -> String {
    format!(
        r#"# The demo's configuration.
name = "{DEPLOYMENT}"

[receive]
listen = ["127.0.0.1:0"]

[http]
listen = "127.0.0.1:0"

# These actions need a decision.
[authority.governed]
actions = ["secret.rotate", "network.open", "data.export"]

# Who may act, and who may approve.
[[authority.actor]]
id = "{ACTOR}"
owner = "{OWNER}"
key = "{agent_key}"

[[authority.approver]]
name = "{APPROVER}"
key = "{approver_key}"
"#
    )
}
