//! What a backend's answer means for the spans that were sent (OTLP specification 1.11, "Failures").

use std::time::Duration;

use hyper::StatusCode;
use tonic::{Code, Status};
use tonic_types::StatusExt;

use super::client::{Failure, Taken};

/// What is to be done with a request after its answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Answer {
    /// Taken, but for the spans that the backend rejected for good.
    Accepted { rejected_spans: u64, message: String },
    /// To be sent again as it is: overload, an outage, or a mistake in the configuration of either side.
    Later { after: Option<Duration>, reason: String },
    /// The same again will not help, fewer spans at once may.
    TooLarge { reason: String },
    /// Overload or a limit of size, which the answer does not tell: RESOURCE_EXHAUSTED without RetryInfo. The
    /// specification calls it final; backends throttle with it all the same.
    Exhausted { reason: String },
    /// Refused for good: some span in it is not to the backend's liking.
    Refused { reason: String },
    /// An error of the backend's own, which may pass or may be what this request does to it.
    Failed { reason: String },
}

impl From<Result<Taken, Failure>> for Answer {
    fn from(answer: Result<Taken, Failure>) -> Self {
        match answer {
            Ok(Taken { rejected, message }) => Self::Accepted { rejected_spans: rejected, message },
            Err(failure) => Self::of(&failure),
        }
    }
}

impl Answer {
    pub(super) fn of(failure: &Failure) -> Self {
        match failure {
            Failure::Status(status) => Self::of_status(status),
            Failure::Http { status, retry_after, text } => Self::of_http(*status, retry_after.as_deref(), text),
            Failure::Transport(reason) => Self::later(reason),
        }
    }

    pub(super) fn later(reason: impl ToString) -> Self {
        Self::Later { after: None, reason: reason.to_string() }
    }

    /// Reads a gRPC status.
    ///
    /// A status that the transport made up (connection refused, cut, reset) is an outage. What only a person can mend (no
    /// permission, no such service) is sent again as well: the log keeps the spans until then.
    pub(super) fn of_status(status: &Status) -> Self {
        let reason = format!("{:?}: {}", status.code(), status.message());
        let retry = status.get_details_retry_info();
        if retry.is_some() || std::error::Error::source(status).is_some() {
            return Self::Later { after: retry.and_then(|info| info.retry_delay), reason };
        }
        match status.code() {
            Code::ResourceExhausted | Code::OutOfRange if speaks_of_size(status.message()) => Self::TooLarge { reason },
            Code::ResourceExhausted => Self::Exhausted { reason },
            Code::InvalidArgument | Code::FailedPrecondition | Code::AlreadyExists => Self::Refused { reason },
            Code::Internal | Code::Unknown | Code::DataLoss => Self::Failed { reason },
            _ => Self::later(reason),
        }
    }

    /// Reads the status line, `Retry-After` and the text of an OTLP/HTTP answer other than success.
    pub(super) fn of_http(status: StatusCode, retry_after: Option<&str>, text: &str) -> Self {
        let reason = format!("{status}: {text}");
        match status {
            StatusCode::PAYLOAD_TOO_LARGE => Self::TooLarge { reason },
            StatusCode::BAD_REQUEST | StatusCode::UNPROCESSABLE_ENTITY => Self::Refused { reason },
            StatusCode::INTERNAL_SERVER_ERROR => Self::Failed { reason },
            _ => Self::Later { after: retry_after.and_then(seconds), reason },
        }
    }
}

/// Whether the message of RESOURCE_EXHAUSTED (grpc-go, grpc-java, .NET, Spanseal) or OUT_OF_RANGE (tonic) is about the
/// request's size. Other words cost time, not spans: see [`Answer::Exhausted`].
fn speaks_of_size(message: &str) -> bool {
    let message = message.to_ascii_lowercase();
    SIZE_WORDS.iter().any(|words| message.contains(words))
}

const SIZE_WORDS: [&str; 6] =
    ["larger than", "too large", "exceeds maximum", "exceeded maximum", "exceeds the maximum", "request is over"];

/// Reads `Retry-After` in seconds; its form with a date is not used by OTLP backends and counts as absent.
fn seconds(value: &str) -> Option<Duration> {
    value.trim().parse().ok().map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_status(status: &Status, expected: &str) {
        let answer = format!("{:?}", Answer::of_status(status));
        assert!(answer.starts_with(expected), "{status:?} is read as {answer}");
    }

    #[test]
    fn retries_what_may_pass_and_what_a_person_must_mend() {
        for code in [Code::Unavailable, Code::Cancelled, Code::DeadlineExceeded, Code::Aborted, Code::Unauthenticated] {
            check_status(&Status::new(code, "no"), "Later");
        }
        check_status(&Status::unimplemented("unknown service"), "Later");
    }

    #[test]
    fn leaves_open_what_is_exhausted_without_retry_info() {
        check_status(&Status::resource_exhausted("quota of the tenant is used up"), "Exhausted");
    }

    #[test]
    fn retries_what_the_transport_reports() {
        let cut = std::io::Error::new(std::io::ErrorKind::ConnectionReset, "reset by peer");
        check_status(&Status::from_error(Box::new(cut)), "Later");
    }

    #[test]
    fn honours_retry_info_whatever_the_code() {
        let mut details = tonic_types::ErrorDetails::new();
        details.set_retry_info(Some(Duration::from_secs(7)));
        let status = Status::with_error_details(Code::ResourceExhausted, "larger than life", details);
        check_status(&status, "Later { after: Some(7s)");
    }

    #[test]
    fn splits_what_is_too_large_and_refuses_what_is_bad() {
        check_status(&Status::resource_exhausted("grpc: received message larger than max (5 vs. 4)"), "TooLarge");
        check_status(&Status::out_of_range("Error, decoded message length too large: found 5 bytes"), "TooLarge");
        check_status(&Status::resource_exhausted("the request is over 67108864 bytes"), "TooLarge");
        let dot_net = "Received message exceeds the maximum configured message size.";
        check_status(&Status::resource_exhausted(dot_net), "TooLarge");
        check_status(&Status::invalid_argument("bad span"), "Refused");
        check_status(&Status::internal("oops"), "Failed");
    }

    #[test]
    fn reads_http_answers() {
        let read = |code: u16, after| Answer::of_http(StatusCode::from_u16(code).unwrap(), after, "t");
        for code in [429, 502, 503, 504, 401, 403, 404, 301, 415] {
            let expected = Some(Duration::from_secs(3));
            assert!(matches!(read(code, Some("3")), Answer::Later { after, .. } if after == expected), "{code}");
        }
        assert!(matches!(read(503, Some("Fri, 31 Dec 1999 23:59:59 GMT")), Answer::Later { after: None, .. }));
        assert!(matches!(read(413, None), Answer::TooLarge { .. }));
        assert!(matches!(read(400, None), Answer::Refused { .. }));
        assert!(matches!(read(500, None), Answer::Failed { .. }));
    }
}
