//! The gap event: something was lost or is not known, and the stream says so (format.md section 7).
//!
//! ```text
//!   0      1      2       3    5         21      29         37     45     53
//!   +------+------+-------+----+---------+-------+----------+------+------+
//!   | 0x05 | 0x01 | cause | 00 | stream  | first | expected | lost | wall |
//!   +------+------+-------+----+---------+-------+----------+------+------+
//! ```

use crate::id::StreamId;
use crate::key_event::KeyEventError;
use crate::kind;
use crate::layout::Fields;

/// Bytes of a gap event, kind byte included.
pub const GAP_LEN: usize = 53;

/// Why events are missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GapCause {
    /// The writer stopped uncleanly: counters after the last seal are unknown.
    UncleanStop,
    /// The end of a stream was lost.
    TailLost,
    /// Spans were given up.
    Shed,
}

/// Says what is missing from a stream. Unknown numbers are `None`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gap {
    /// Why.
    pub cause: GapCause,
    /// The stream concerned, which need not be the one that the event stands in.
    pub stream: StreamId,
    /// The first index concerned.
    pub first: u64,
    /// The size that was expected.
    pub expected_size: Option<u64>,
    /// Spans lost.
    pub spans_lost: Option<u64>,
    /// Wall time in nanoseconds since the Unix epoch.
    pub wall: u64,
}

impl Gap {
    /// Writes the event, kind byte included. `None` and `u64::MAX` are both written as all ones.
    pub fn encode(&self) -> [u8; GAP_LEN] {
        let mut event = [0; GAP_LEN];
        event[..3].copy_from_slice(&[kind::GAP, VERSION, self.cause.number()]);
        event[5..21].copy_from_slice(&self.stream.0);
        event[21..29].copy_from_slice(&self.first.to_be_bytes());
        event[29..37].copy_from_slice(&self.expected_size.unwrap_or(UNKNOWN).to_be_bytes());
        event[37..45].copy_from_slice(&self.spans_lost.unwrap_or(UNKNOWN).to_be_bytes());
        event[45..].copy_from_slice(&self.wall.to_be_bytes());
        event
    }

    /// Reads the event, kind byte included.
    ///
    /// # Errors
    /// When it has another version, length or cause, or its reserved bytes are not zero.
    pub fn parse(event: &[u8]) -> Result<Gap, KeyEventError> {
        let mut fields = Fields::new(event);
        if fields.u8()? != kind::GAP {
            return Err(KeyEventError::Kind);
        }
        let version = fields.u8()?;
        if version != VERSION {
            return Err(KeyEventError::Version { got: version });
        }
        let cause = GapCause::from_number(fields.u8()?).ok_or(KeyEventError::Value)?;
        if fields.u16()? != 0 {
            return Err(KeyEventError::Reserved);
        }
        let gap = Gap {
            cause,
            stream: StreamId(fields.array()?),
            first: fields.u64()?,
            expected_size: known(fields.u64()?),
            spans_lost: known(fields.u64()?),
            wall: fields.u64()?,
        };
        fields.end()?;
        Ok(gap)
    }
}

fn known(number: u64) -> Option<u64> {
    (number != UNKNOWN).then_some(number)
}

impl GapCause {
    const ALL: [GapCause; 3] = [GapCause::UncleanStop, GapCause::TailLost, GapCause::Shed];

    fn number(self) -> u8 {
        match self {
            GapCause::UncleanStop => 1,
            GapCause::TailLost => 2,
            GapCause::Shed => 3,
        }
    }

    fn from_number(number: u8) -> Option<GapCause> {
        GapCause::ALL.into_iter().find(|cause| cause.number() == number)
    }
}

const VERSION: u8 = 0x01;
const UNKNOWN: u64 = u64::MAX;
