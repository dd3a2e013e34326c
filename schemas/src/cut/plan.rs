//! Which holes to make: what is kept out, then as little more as makes the rest fit.
//!
//! Three attempts, each only if the one before did not fit:
//! 1. the values that are kept out;
//! 2. besides, the largest values, as many as it takes;
//! 3. besides, runs of whole fields, the least valuable first: unknown fields, events, links, attributes. The first
//!    fields of the last kind to go are kept as far as they fit.
//!
//! No attempt stores anything per field, so a message of millions of tiny fields costs time in proportion and no memory.

use super::field::{Field, Path, RANK_MAX, Unit, fields, rank, units};
use super::{Hole, MESSAGE_BYTES_MAX, RUN_MIN, Shape};
use crate::wire::{Reader, varint_len};

/// A message to be cut, and to what end.
pub(super) struct Planner<'p> {
    pub(super) shape: Shape,
    pub(super) message: &'p [u8],
    pub(super) keep_out: &'p dyn Fn(&str) -> bool,
    pub(super) bytes_max: usize,
}

/// What is cut besides the values that are kept out.
#[derive(Clone, Copy)]
struct Choice {
    values: Values,
    /// Whole fields of this rank and below.
    rank: Option<u8>,
    /// But the first of this rank, as far as so many bytes go.
    spare: usize,
}

/// Nothing besides.
const NOTHING: Choice = Choice { values: Values { longer_than: usize::MAX, just_as_long: 0 }, rank: None, spare: 0 };

/// Which values are cut besides those that are kept out.
#[derive(Clone, Copy)]
struct Values {
    /// Those of more bytes than this.
    longer_than: usize,
    /// The first so many of just as many bytes.
    just_as_long: usize,
}

impl Values {
    /// Every value that is worth a hole.
    const ALL: Self = Self { longer_than: VALUE_MIN - 1, just_as_long: 0 };

    fn cut(&mut self, planner: &Planner<'_>, unit: &Unit<'_>) -> bool {
        if planner.keeps_out(unit) || unit.len() > self.longer_than {
            return true;
        }
        let cut = unit.len() == self.longer_than && self.just_as_long > 0;
        self.just_as_long -= usize::from(cut);
        cut
    }
}

impl Planner<'_> {
    pub(super) fn plan(&self) -> Vec<Hole> {
        if self.message.len() > MESSAGE_BYTES_MAX {
            return Vec::new();
        }
        if let Some(holes) = self.attempt(NOTHING) {
            return holes;
        }
        let mut values = self.value_lengths();
        values.sort_unstable_by(|a, b| b.cmp(a));
        self.largest_values(&values).or_else(|| self.whole_fields(&values)).unwrap_or_else(|| self.the_least())
    }

    fn attempt(&self, choice: Choice) -> Option<Vec<Hole>> {
        let layout = Layout::of(self, choice, self.bytes_max, usize::MAX);
        (layout.cost <= self.bytes_max).then_some(layout.holes)
    }

    /// Cuts as many of the largest values as it takes.
    fn largest_values(&self, values: &[usize]) -> Option<Vec<Hole>> {
        if values.is_empty() {
            return None;
        }
        let mut cost = Layout::of(self, NOTHING, usize::MAX, 0).cost + self.payload_ids_len();
        let mut count = 0;
        while cost > self.bytes_max {
            cost -= values.get(count)? - HOLE_BYTES;
            count += 1;
        }
        let least = *values.get(count.checked_sub(1)?)?;
        let just_as_long = values[..count].iter().rev().take_while(|length| **length == least).count();
        self.attempt(Choice { values: Values { longer_than: least, just_as_long }, ..NOTHING })
    }

    /// Cuts the few largest values, and whole fields: all of the less valuable kinds, and of one kind all but the first.
    fn whole_fields(&self, values: &[usize]) -> Option<Vec<Hole>> {
        let longer_than = values.get(LARGEST_MAX).copied().unwrap_or(VALUE_MIN - 1);
        (0..=RANK_MAX).find_map(|rank| {
            let all = Choice { values: Values { longer_than, just_as_long: 0 }, rank: Some(rank), spare: 0 };
            let cost = Layout::of(self, all, self.bytes_max, 0).cost;
            let spare = self.bytes_max.checked_sub(cost)?;
            self.attempt(Choice { spare, ..all })
        })
    }

    /// Cuts all that can be cut.
    fn the_least(&self) -> Vec<Hole> {
        let all = Choice { values: Values::ALL, rank: Some(RANK_MAX), spare: 0 };
        Layout::of(self, all, usize::MAX, usize::MAX).holes
    }

    /// Returns the lengths of the values that are worth a hole.
    fn value_lengths(&self) -> Vec<usize> {
        let mut lengths = Vec::new();
        fields(Reader::new(self.message), |field| {
            if field.len() >= VALUE_MIN {
                units(self.shape, &field, &mut |unit| {
                    if unit.len() >= VALUE_MIN && !self.keeps_out(unit) {
                        lengths.push(unit.len());
                    }
                });
            }
            true
        });
        lengths
    }

    fn keeps_out(&self, unit: &Unit<'_>) -> bool {
        unit.key.is_some_and(|key| (self.keep_out)(key))
    }

    /// Returns an upper bound of what the ids of the payload records take in the event.
    fn payload_ids_len(&self) -> usize {
        const ID_BYTES: usize = 34;
        const CHUNK_BYTES: usize = 896 * 1024;
        (self.message.len() / CHUNK_BYTES + 2) * ID_BYTES
    }
}

/// The least length of a value that is worth a hole.
const VALUE_MIN: usize = 128;

/// How many of the largest values are cut before whole fields are.
const LARGEST_MAX: usize = 64;

/// An upper bound of what a cut takes in the event: 52 bytes with a path of four, key and length.
const HOLE_BYTES: usize = 56;

/// What an identifying field may take before it is cut like any other.
const IDENTITY_BYTES_MAX: usize = 512;

/// The holes of one choice, and what the event's fields take with them.
struct Layout<'p> {
    planner: &'p Planner<'p>,
    choice: Choice,
    /// Beyond this the exact cost does not matter, and no more holes are kept.
    cost_max: usize,
    holes_max: usize,
    cost: usize,
    holes: Vec<Hole>,
    any_hole: bool,
    /// The whole fields being cut: where they start and end.
    run: Option<(usize, usize)>,
}

impl<'p> Layout<'p> {
    fn of(planner: &'p Planner<'p>, choice: Choice, cost_max: usize, holes_max: usize) -> Self {
        let cost = 1 + varint_len(planner.message.len() as u64);
        let holes = Vec::new();
        let mut layout = Self { planner, choice, cost_max, holes_max, cost, holes, any_hole: false, run: None };
        let end = fields(Reader::new(planner.message), |field| {
            layout.place(&field);
            layout.cost <= layout.cost_max
        });
        layout.end_run();
        layout.cost += planner.message.len() - end;
        layout
    }

    fn place(&mut self, field: &Field<'p>) {
        if self.keeps(field) {
            self.end_run();
            let (planner, mut values, mut stays) = (self.planner, self.choice.values, field.len());
            units(planner.shape, field, &mut |unit| {
                if values.cut(planner, unit) {
                    stays -= unit.len();
                    self.make_hole(unit.start, unit.end, unit.path, unit.fields);
                }
            });
            self.cost += stays;
            self.choice.values = values;
        } else {
            let start = self.run.map_or(field.start, |(start, _)| start);
            self.run = Some((start, field.end));
        }
    }

    /// Says whether the field stays, but for holes in it.
    fn keeps(&mut self, field: &Field<'p>) -> bool {
        let Some(limit) = self.choice.rank else { return true };
        match rank(self.planner.shape, field.number) {
            None => field.len() <= IDENTITY_BYTES_MAX || self.kept_len(field, Values::ALL) <= IDENTITY_BYTES_MAX,
            Some(rank) if rank == limit => self.spares(field),
            Some(rank) => rank > limit,
        }
    }

    /// Says whether what can be spared is enough to keep the field, and takes it.
    fn spares(&mut self, field: &Field<'p>) -> bool {
        let split = if self.run.is_some() { HOLE_BYTES } else { 0 };
        let left = self.choice.spare.checked_sub(self.kept_len(field, self.choice.values) + split);
        // Once one does not fit none after it is kept: those that are, are the first.
        self.choice.spare = left.unwrap_or(0);
        left.is_some()
    }

    /// Returns what the field takes when it stays, with the holes in it.
    fn kept_len(&self, field: &Field<'p>, mut values: Values) -> usize {
        let mut length = field.len();
        units(self.planner.shape, field, &mut |unit| {
            if values.cut(self.planner, unit) {
                length = length - unit.len() + HOLE_BYTES;
            }
        });
        length
    }

    fn end_run(&mut self) {
        match self.run.take() {
            Some((start, end)) if end - start >= RUN_MIN => self.make_hole(start, end, Path::default(), true),
            Some((start, end)) => self.cost += end - start,
            None => {}
        }
    }

    fn make_hole(&mut self, start: usize, end: usize, path: Path, fields: bool) {
        if !self.any_hole {
            self.any_hole = true;
            self.cost += self.planner.payload_ids_len();
        }
        self.cost += HOLE_BYTES;
        if self.cost <= self.cost_max && self.holes.len() < self.holes_max {
            let (offset, length) = (start as u32, (end - start) as u32);
            self.holes.push(Hole { offset, length, path: path.to_vec(), fields });
        }
    }
}
