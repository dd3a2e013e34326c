//! How a request is compressed, and the inflating of it, within its size and on the budget.

use super::body::Taken;
use super::problem::Problem;
use super::{gzip, zstd};

/// A content coding of OTLP/HTTP, a message encoding of OTLP/gRPC: the same names in both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Coding {
    Identity,
    Gzip,
    Zstd,
}

impl Coding {
    /// Reads a header's value; a header that is not there is an empty one.
    pub(super) fn of(name: &[u8]) -> Result<Self, Problem> {
        match &name.to_ascii_lowercase()[..] {
            b"" | b"identity" => Ok(Self::Identity),
            b"gzip" | b"x-gzip" => Ok(Self::Gzip), // RFC 9110 section 8.4.1.3: the same
            b"zstd" => Ok(Self::Zstd),
            other => Err(Problem::Coding { coding: String::from_utf8_lossy(other).into_owned() }),
        }
    }

    /// Returns the request that `compressed` holds, of at most `bytes_max`.
    pub(super) async fn inflate(self, compressed: Taken, bytes_max: usize) -> Result<Taken, Problem> {
        match self {
            Self::Identity => Ok(compressed),
            Self::Gzip => gzip::inflate(compressed, bytes_max).await,
            Self::Zstd => zstd::inflate(compressed, bytes_max).await,
        }
    }
}

/// What a client may send, as headers list it.
pub(super) const CODINGS: &str = "gzip, zstd, identity";

/// What is inflated before others get their turn.
pub(super) const STEP_BYTES: usize = 256 << 10;
