//! Open files: as many as the connections need, and some that connections cannot take.

use std::num::NonZeroUsize;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tracing::warn;

/// Raises the limit of open files as far as the process may, and returns how many connections fit under it.
///
/// A connection that took the last file would keep the log from beginning its next segment.
pub(crate) fn connections_that_fit(wanted: NonZeroUsize) -> NonZeroUsize {
    let limit = getrlimit(Resource::Nofile);
    let enough = enough(wanted, limit.maximum);
    if limit.current.is_some_and(|current| current < enough) {
        let raised = Rlimit { current: Some(enough), maximum: limit.maximum };
        if let Err(error) = setrlimit(Resource::Nofile, raised) {
            warn!(%error, files = enough, "the limit of open files cannot be raised");
        }
    }
    let files = getrlimit(Resource::Nofile).current;
    let fit = fit(wanted, files);
    if fit < wanted {
        warn!(
            connections_max = fit,
            configured = wanted,
            files,
            "fewer connections, because of the limit of open files"
        );
    }
    fit
}

/// The files that connections and everything else need, as far as they can be had.
fn enough(connections: NonZeroUsize, files_max: Option<u64>) -> u64 {
    let wanted = connections.get() as u64 + RESERVED;
    files_max.map_or(wanted, |max| max.min(wanted))
}

/// The connections for which there are files; at least one.
fn fit(wanted: NonZeroUsize, files: Option<u64>) -> NonZeroUsize {
    let Some(files) = files else { return wanted };
    let room = usize::try_from(files.saturating_sub(RESERVED)).unwrap_or(usize::MAX);
    NonZeroUsize::new(room).map_or(NonZeroUsize::MIN, |room| room.min(wanted))
}

/// For the log, the index, backends, health and metrics.
const RESERVED: u64 = 256;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leaves_files_for_the_log() {
        let count = |count| NonZeroUsize::new(count).unwrap();
        for (wanted, files, fitting) in [
            (4096, Some(1024), 768),
            (4096, Some(1_000_000), 4096),
            (4096, None, 4096),
            (4096, Some(100), 1),
            (10, Some(1024), 10),
        ] {
            assert_eq!(fit(count(wanted), files), count(fitting), "{wanted} {files:?}");
        }
        assert_eq!(enough(count(4096), Some(1_048_576)), 4352);
        assert_eq!(enough(count(4096), Some(2048)), 2048);
        assert_eq!(enough(count(4096), None), 4352);
    }

    #[test]
    fn raises_the_limit() {
        let fitting = connections_that_fit(NonZeroUsize::MIN);
        assert_eq!(fitting, NonZeroUsize::MIN);
        assert!(getrlimit(Resource::Nofile).current.is_none_or(|files| files > RESERVED));
    }
}
