//! Why a request was not taken in, and how that is said in gRPC and in HTTP.

use std::io;
use std::time::Duration;

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

use super::json::JsonError;
use crate::forward::{NotPassedOn, PassRefusal};
use crate::intake::{OverBudget, Refusal};
use crate::serve::metrics::Outcome;
use crate::signal::Signal;

/// A request was not taken in; nothing of it was kept, but for [`Problem::NotSealedYet`].
#[derive(Debug, thiserror::Error)]
pub(super) enum Problem {
    #[error("the content type is none of application/x-protobuf and application/json")]
    MediaType,
    #[error("the encoding {coding:?} is none of gzip, zstd and identity")]
    Coding { coding: String },
    #[error("the request is over {bytes_max} bytes")]
    TooLarge { bytes_max: usize },
    #[error("the request's body ended early")]
    Broken,
    #[error("the request is no whole gRPC message: {fault}")]
    Framing { fault: &'static str },
    #[error("the request is not in gzip, as it says: {0}")]
    Gzip(io::Error),
    #[error("the request is not in zstd with a window of at most 8 MiB, as it says: {0}")]
    Zstd(&'static str),
    #[error(transparent)]
    Json(#[from] JsonError),
    #[error("{0}; try again")]
    OverBudget(#[from] OverBudget),
    #[error("the request's body was not there after {} s; try again", after.as_secs())]
    Slow { after: Duration },
    /// The spans may be durable later: the sender comes again, and they are recognised as a retry.
    #[error("the request was not sealed after {} s; try again", after.as_secs())]
    NotSealedYet { after: Duration },
    #[error(transparent)]
    Refused(Refusal),
    #[error(
        "{} are passed on and not sealed, and no backend here takes them; add a [[forward]] with {:?} in its signals, \
         or send them elsewhere",
        .signal.name(),
        .signal.name()
    )]
    NoBackend { signal: Signal },
    #[error(transparent)]
    NotPassedOn(#[from] NotPassedOn),
}

/// What the sender is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Remedy {
    /// Send something else.
    Change,
    /// Send it in another form.
    Recode,
    /// Send less at once.
    Split,
    /// Send it again, after a while.
    Retry { after: Duration },
    /// Send it to somebody who takes it.
    Elsewhere,
    /// The backend broke on it, and did not say why.
    Unknown,
}

impl Problem {
    pub(super) fn remedy(&self) -> Remedy {
        let soon = Remedy::Retry { after: RETRY_AFTER };
        match self {
            Self::MediaType | Self::Coding { .. } => Remedy::Recode,
            Self::TooLarge { .. } => Remedy::Split,
            Self::Broken | Self::Framing { .. } | Self::Gzip(_) | Self::Zstd(_) | Self::Json(_) => Remedy::Change,
            Self::NoBackend { .. } => Remedy::Elsewhere,
            Self::NotPassedOn(NotPassedOn::Away { after, .. }) => Remedy::Retry { after: *after },
            Self::NotPassedOn(NotPassedOn::Refused { refusal, .. }) => match refusal {
                PassRefusal::Bad => Remedy::Change,
                PassRefusal::TooLarge => Remedy::Split,
                PassRefusal::Absent => Remedy::Elsewhere,
                PassRefusal::Broken => Remedy::Unknown,
            },
            Self::OverBudget(_) | Self::Slow { .. } | Self::NotSealedYet { .. } => soon,
            Self::Refused(refusal) => match refusal {
                Refusal::Invalid(_) => Remedy::Change,
                Refusal::Busy { retry_after }
                | Refusal::DiskFull { retry_after }
                | Refusal::Starting { retry_after } => Remedy::Retry { after: *retry_after },
                Refusal::Stopping => soon,
            },
        }
    }

    pub(super) fn outcome(&self) -> Outcome {
        match self {
            Self::MediaType | Self::Coding { .. } => Outcome::unsupported,
            Self::TooLarge { .. } => Outcome::too_large,
            Self::Broken | Self::Framing { .. } | Self::Gzip(_) | Self::Zstd(_) | Self::Json(_) => Outcome::invalid,
            Self::NoBackend { .. } => Outcome::no_backend,
            Self::NotPassedOn(NotPassedOn::Away { .. }) => Outcome::backend_away,
            Self::NotPassedOn(NotPassedOn::Refused { .. }) => Outcome::backend_refused,
            Self::OverBudget(_) => Outcome::busy,
            Self::Slow { .. } | Self::NotSealedYet { .. } => Outcome::timed_out,
            Self::Refused(Refusal::Invalid(_)) => Outcome::invalid,
            Self::Refused(Refusal::Busy { .. } | Refusal::Starting { .. }) => Outcome::busy,
            Self::Refused(Refusal::DiskFull { .. }) => Outcome::disk_full,
            Self::Refused(Refusal::Stopping) => Outcome::stopping,
        }
    }

    /// Returns the `google.rpc.Status`: in gRPC the answer, in HTTP its body.
    ///
    /// A bare RESOURCE_EXHAUSTED is for good; whatever may be sent again is UNAVAILABLE with a RetryInfo.
    pub(super) fn status(&self) -> Status {
        let mut message = self.to_string();
        message.truncate(message.floor_char_boundary(MESSAGE_BYTES_MAX));
        let (code, details) = match self.remedy() {
            Remedy::Change => {
                (Code::InvalidArgument, ErrorDetails::with_bad_request_violation(self.field(), message.clone()))
            }
            Remedy::Recode | Remedy::Elsewhere => (Code::Unimplemented, ErrorDetails::new()),
            Remedy::Unknown => (Code::Internal, ErrorDetails::new()),
            Remedy::Split => (Code::ResourceExhausted, ErrorDetails::new()),
            Remedy::Retry { after } => (Code::Unavailable, ErrorDetails::with_retry_info(Some(after))),
        };
        Status::with_error_details(code, message, details)
    }

    /// Returns the place of what is wrong in the request.
    fn field(&self) -> &str {
        match self {
            Self::Json(JsonError::At { path, .. }) => path,
            _ => "",
        }
    }
}

/// When it is not known how long it will take.
const RETRY_AFTER: Duration = Duration::from_secs(1);
/// A gRPC message is a header, and clients limit those.
const MESSAGE_BYTES_MAX: usize = 1_000;
