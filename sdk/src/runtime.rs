//! Where the program runs.

use std::io::Read as _;
use std::time::{SystemTime, UNIX_EPOCH};

use sha2::{Digest as _, Sha256};
use spanseal_authority::action::Digest;
use spanseal_authority::claims;

/// Where the program runs: what an approval of one build, image or sandbox is compared with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Runtime(claims::Runtime);

impl Runtime {
    /// Returns what the program can see of itself: the digest of its executable, and from the environment its id
    /// (`POD_UID`, else `HOSTNAME`), its image (`PROVENANCE_IMAGE_DIGEST`) and its sandbox (`PROVENANCE_SANDBOX`).
    #[must_use]
    pub fn detect() -> Self {
        let variable = |name| std::env::var(name).ok().filter(|value| spanseal_authority::is_text(value));
        Self(claims::Runtime {
            id: variable("POD_UID").or_else(|| variable("HOSTNAME")),
            image: variable("PROVENANCE_IMAGE_DIGEST"),
            executable: executable_digest(),
            sandbox: variable("PROVENANCE_SANDBOX"),
            ..claims::Runtime::default()
        })
    }

    /// Names the running instance, for example a pod's uid.
    #[must_use]
    pub fn id(mut self, id: impl Into<String>) -> Self {
        self.0.id = Some(id.into());
        self
    }

    /// Names the image by its digest, for example `sha256:...`.
    #[must_use]
    pub fn image(mut self, digest: impl Into<String>) -> Self {
        self.0.image = Some(digest.into());
        self
    }

    /// Names the build, for example a commit.
    #[must_use]
    pub fn build(mut self, build: impl Into<String>) -> Self {
        self.0.build = Some(build.into());
        self
    }

    /// Names the sandbox that it runs in.
    #[must_use]
    pub fn sandbox(mut self, sandbox: impl Into<String>) -> Self {
        self.0.sandbox = Some(sandbox.into());
        self
    }

    /// Says by when it is to have ended.
    #[must_use]
    pub fn deadline(mut self, deadline: SystemTime) -> Self {
        self.0.deadline = deadline.duration_since(UNIX_EPOCH).ok().map(|since| since.as_secs());
        self
    }

    pub(crate) fn claim(self) -> Option<claims::Runtime> {
        (self.0 != claims::Runtime::default()).then_some(self.0)
    }
}

fn executable_digest() -> Option<Digest> {
    let mut executable = std::fs::File::open(std::env::current_exe().ok()?).ok()?;
    let mut hash = Sha256::new();
    let mut bytes = vec![0; 1 << 16];
    loop {
        match executable.read(&mut bytes).ok()? {
            0 => break,
            read => hash.update(&bytes[..read]),
        }
    }
    Some(Digest(hash.finalize().into()))
}
