//! Inflating: what comes out, what is refused, and what it may take meanwhile.

use std::future::Future;

use bytes::Bytes;

use super::harness::{gzip, zstd, zstd_with_window};
use crate::intake::Budget;
use crate::receive::body::Taken;
use crate::receive::coding::Coding;
use crate::receive::problem::Problem;

/// What inflating gave, the most bytes that it held of its budget, and how often it let others have their turn.
struct Inflated {
    result: Result<Bytes, Problem>,
    held_max: u64,
    turns: usize,
}

async fn inflate(coding: Coding, body: &[u8], bytes_max: usize, budget_bytes: u64) -> Inflated {
    let budget = Budget::new(budget_bytes, Default::default());
    let mut permit = budget.permit();
    permit.grow(body.len() as u64).unwrap();
    let taken = Taken { bytes: Bytes::copy_from_slice(body), permit };
    let mut inflating = std::pin::pin!(coding.inflate(taken, bytes_max));
    let (mut held_max, mut turns) = (0, 0);
    let result = std::future::poll_fn(|cx| {
        let poll = inflating.as_mut().poll(cx);
        held_max = held_max.max(budget.taken());
        turns += usize::from(poll.is_pending());
        poll
    })
    .await
    .map(|taken| {
        assert_eq!(taken.permit.bytes(), taken.bytes.len() as u64);
        taken.bytes
    });
    assert_eq!(budget.taken(), 0, "everything is given back");
    Inflated { result, held_max, turns }
}

#[track_caller]
fn check_refused(inflated: &Inflated, expected: &str) {
    let problem = inflated.result.as_ref().unwrap_err().to_string();
    assert!(problem.contains(expected), "{problem}");
}

/// No two bytes in a row are alike, so that it does not become small.
fn noise(bytes: usize) -> Vec<u8> {
    let mut state = 1u32;
    let step = std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    });
    step.take(bytes).collect()
}

#[tokio::test]
async fn gives_back_what_was_compressed() {
    for bytes in [1, 1000, 256 << 10, (256 << 10) + 1, 3 << 20] {
        let whole = noise(bytes);
        let (first, second) = whole.split_at(bytes / 2);
        for (coding, body) in [
            (Coding::Gzip, gzip(&whole)),
            (Coding::Gzip, [gzip(first), gzip(second)].concat()),
            (Coding::Zstd, zstd(&whole)),
            (Coding::Zstd, zstd_with_window(&whole, 10)),
            (Coding::Zstd, zstd_with_window(&whole, 23)),
            (Coding::Zstd, [zstd(first), zstd_with_window(second, 20), zstd(b"")].concat()),
        ] {
            // The limit is the very size.
            let inflated = inflate(coding, &body, bytes, 1 << 30).await;
            assert!(inflated.result.unwrap() == whole, "{coding:?} {bytes}");
        }
    }
}

/// A bomb is stopped by the budget while it inflates, and by the size limit.
#[tokio::test]
async fn stops_bombs() {
    let zeros = vec![0; 64 << 20];
    for (coding, bomb) in [
        (Coding::Gzip, gzip(&zeros)),
        (Coding::Zstd, zstd(&zeros)),
        (Coding::Zstd, zstd_with_window(&zeros, 23)),
        (Coding::Zstd, zstd(&zeros[..1 << 20]).repeat(64)),
    ] {
        let inflated = inflate(coding, &bomb, 64 << 20, 4 << 20).await;
        check_refused(&inflated, "bytes are in flight");
        let inflated = inflate(coding, &bomb, 1 << 20, 1 << 30).await;
        check_refused(&inflated, "the request is over 1048576 bytes");
        assert!(inflated.held_max < 3 << 20, "{coding:?} held {}", inflated.held_max);
        let inflated = inflate(coding, &bomb, 64 << 20, 1 << 30).await;
        assert!(inflated.result.unwrap() == zeros);
        // Less than a step is not seen here; zstd's window is held as well.
        let least = (63 << 20) + if coding == Coding::Zstd { 8 << 20 } else { 0 };
        assert!((least..74 << 20).contains(&inflated.held_max), "{coding:?} held {}", inflated.held_max);
    }
}

/// RFC 9659: 8 MiB and no more, or each connection could have the decoder take 128 MiB beside the budget.
#[tokio::test]
async fn refuses_a_large_window() {
    let small = zstd_with_window(b"small", 24);
    check_refused(&inflate(Coding::Zstd, &small, 1 << 20, 1 << 30).await, "Frame requires too much memory");
    let later = [zstd(b"small"), small].concat();
    check_refused(&inflate(Coding::Zstd, &later, 1 << 20, 1 << 30).await, "a window of at most 8 MiB");
}

#[tokio::test]
async fn refuses_what_is_cut_or_changed() {
    for body in [zstd(&noise(1000)), zstd_with_window(&noise(1000), 20)] {
        for cut in [0, 3, 5, 100, body.len() - 1] {
            check_refused(&inflate(Coding::Zstd, &body[..cut], 1 << 20, 1 << 30).await, "it ends within a frame");
        }
        let followed = [&body[..], b"and more"].concat();
        check_refused(&inflate(Coding::Zstd, &followed, 1 << 20, 1 << 30).await, "Unknown frame descriptor");
    }
    let mut changed = zstd_with_window(&noise(1000), 20);
    *changed.last_mut().unwrap() ^= 1; // its checksum
    check_refused(&inflate(Coding::Zstd, &changed, 1 << 20, 1 << 30).await, "doesn't match checksum");
    let member = gzip(&noise(1000));
    for body in [&member[..member.len() - 1], &[&member[..], b"and more"].concat()] {
        check_refused(&inflate(Coding::Gzip, body, 1 << 20, 1 << 30).await, "not in gzip");
    }
}

/// Else 64 MiB of nothing, in frames of nine bytes, would keep a thread for seconds.
#[tokio::test]
async fn lets_others_have_their_turn() {
    let skippable = [0x50, 0x2A, 0x4D, 0x18, 0, 0, 0, 0].repeat(500); // RFC 8878 section 3.1.2
    for (coding, body, turns) in [
        (Coding::Gzip, gzip(b"").repeat(500), 500),
        (Coding::Zstd, zstd(b"").repeat(500), 500),
        (Coding::Zstd, skippable, 500),
        (Coding::Gzip, gzip(&vec![0; 4 << 20]), 16),
        (Coding::Zstd, zstd(&vec![0; 4 << 20]), 16),
    ] {
        let inflated = inflate(coding, &body, 4 << 20, 1 << 30).await;
        assert!(inflated.turns + 1 >= turns, "{coding:?}: {} turns", inflated.turns);
        assert!(inflated.result.is_ok());
    }
}

/// A limit below one step is a limit as well.
#[tokio::test]
async fn inflates_under_small_limits() {
    for (coding, body) in [
        (Coding::Gzip, gzip(&noise(1024))),
        (Coding::Zstd, zstd(&noise(1024))),
        (Coding::Zstd, zstd_with_window(&noise(1024), 20)),
    ] {
        let inflated = inflate(coding, &body, 1024, 4 * 1024).await;
        assert_eq!(inflated.result.unwrap().len(), 1024, "{coding:?}");
    }
}
