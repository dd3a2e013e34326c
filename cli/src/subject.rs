//! A subject as people name it on the command line, found in the data directory.

use std::path::Path;

use anyhow::Context as _;
use spanseal_collector::seal::subjects::{Known, SubjectFile};

use crate::text::hex;

/// Whose values.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Whose {
    /// Value of the attribute that `[cut] subject` names, for example a user id.
    #[arg(value_name = "SUBJECT", required_unless_present_any = ["trace", "id"], conflicts_with_all = ["trace", "id"])]
    name: Option<String>,
    /// Trace id: values of spans that name no subject are under the key of their trace.
    #[arg(long, value_name = "HEX", value_parser = crate::find::hex::<16>, conflicts_with = "id")]
    trace: Option<[u8; 16]>,
    /// Subject id, as `spanseal why` shows it.
    #[arg(long, value_name = "HEX", value_parser = crate::find::hex::<16>)]
    id: Option<[u8; 16]>,
    /// Tenant, where several have a subject of this name.
    #[arg(long, value_name = "NAME")]
    tenant: Option<String>,
}

/// What stands under a name.
pub(crate) enum Found {
    One(Known),
    None,
    /// Of these tenants.
    Several(Vec<String>),
}

impl Whose {
    /// Looks the subject up.
    ///
    /// # Errors
    /// When the directory has no subjects' file, or it cannot be read.
    pub(crate) fn find(&self, file: &SubjectFile) -> anyhow::Result<Found> {
        if let Some(id) = &self.id {
            return Ok(file.known(id)?.map_or(Found::None, Found::One));
        }
        let mut named = file.named(&self.stored_name())?;
        if let Some(tenant) = &self.tenant {
            named.retain(|known| known.name.tenant == *tenant);
        }
        Ok(match (named.pop(), named.is_empty()) {
            (None, _) => Found::None,
            (Some(one), true) => Found::One(one),
            (Some(last), false) => {
                Found::Several(named.into_iter().chain([last]).map(|known| known.name.tenant).collect())
            }
        })
    }

    /// Returns the name under which the subject's key is kept.
    pub(crate) fn stored_name(&self) -> String {
        match (&self.trace, &self.name) {
            (Some(trace), _) => format!("trace:{}", hex(trace)),
            (None, name) => format!("attribute:{}", name.as_deref().unwrap_or_default()),
        }
    }

    /// Returns the tenant to whom a new subject belongs.
    pub(crate) fn new_tenant(&self) -> String {
        self.tenant.clone().unwrap_or_else(|| spanseal_collector::receive::TENANT.to_owned())
    }

    /// Whether it can be named before it has a key.
    pub(crate) fn is_named(&self) -> bool {
        self.id.is_none()
    }
}

/// Opens the subjects' file of a data directory.
///
/// # Errors
/// When there is none: nothing was ever sealed there.
pub(crate) fn open(data: &Path) -> anyhow::Result<SubjectFile> {
    let path = data.join("subjects.sqlite");
    anyhow::ensure!(path.exists(), "{} is not there: {} is no data directory", path.display(), data.display());
    SubjectFile::open_reader(&path).with_context(|| path.display().to_string())
}
