//! Spans with the ids of another and other bytes: which of them become events, what else tells the two apart, and who is
//! told of the rest.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use super::first::Firsts;
use super::moment::Moment;
use super::parcel::{Parcel, ParcelSpan};
use super::subjects::Subjects;
use super::version::Version;
use crate::config::KeyPattern;
use crate::intake::Tenant;

/// What is done about conflicts.
#[derive(Debug, Clone)]
pub(crate) struct ConflictSettings {
    /// Keys of the attributes that collectors on the way add: a version that differs in nothing else is a variant.
    pub(crate) enrichment: Vec<KeyPattern>,
    /// Conflict events of one peer of a tenant; what is above is counted, and a finding says so.
    pub(crate) per_second_max: NonZeroU32,
    /// How often, at most, a finding of one tenant says it.
    pub(crate) finding: Duration,
}

/// The conflicts of one stream.
#[derive(Debug)]
pub(crate) struct Conflicts {
    settings: ConflictSettings,
    firsts: Firsts,
    /// The second of the process's clock that is counted.
    second: u64,
    /// Conflict events of that second.
    sealed: HashMap<Arc<Tenant>, u32>,
    /// Tenants with conflicts that were not sealed.
    unsealed: HashMap<String, Unsealed>,
}

#[derive(Debug, Default)]
struct Unsealed {
    /// That no finding tells of.
    spans: u64,
    told: Option<Moment>,
}

/// How many conflicts of a tenant were not sealed since the last finding.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Untold {
    pub(crate) tenant: String,
    pub(crate) spans: u64,
}

/// One span that is in conflict with another.
pub(crate) struct Conflicting<'a> {
    /// Index of the event of the first span with its ids.
    pub(crate) first: u64,
    pub(crate) parcel: &'a Parcel,
    pub(crate) span: &'a ParcelSpan,
    /// The parcels of the group before its own: what is in them is not in the log yet.
    pub(crate) earlier: &'a [Parcel],
}

impl Conflicts {
    pub(crate) fn new(settings: ConflictSettings, firsts: Firsts) -> Self {
        Self { settings, firsts, second: 0, sealed: HashMap::new(), unsealed: HashMap::new() }
    }

    /// Returns whether one more conflict of the tenant's peer is sealed as an event; else it is counted for a finding.
    pub(crate) fn admit(&mut self, tenant: &Arc<Tenant>, now: &Moment) -> bool {
        let second = now.monotonic_nano / 1_000_000_000;
        if self.second != second {
            self.second = second;
            self.sealed.clear();
        }
        let max = self.settings.per_second_max.get();
        match self.sealed.get_mut(tenant) {
            Some(sealed) if *sealed >= max => {
                self.unsealed.entry(tenant.name.clone()).or_default().spans += 1;
                return false;
            }
            Some(sealed) => *sealed += 1,
            None => drop(self.sealed.insert(Arc::clone(tenant), 1)),
        }
        true
    }

    /// Returns whether nothing but enrichment tells the span from the first with its ids. A first that cannot be read
    /// again, or not within the limits of [`Firsts`], is not known to be alike.
    pub(crate) fn is_variant(&mut self, conflicting: &Conflicting<'_>, subjects: &dyn Subjects, now: &Moment) -> bool {
        let Conflicting { first, parcel, span, earlier } = *conflicting;
        let Some(this) = Version::in_parcel(parcel, span) else { return false };
        let first = if self.firsts.is_durable(first) {
            self.firsts.read(first, subjects, now)
        } else {
            // It is in this group: whichever of it came first with these ids.
            let ids = |other: &&ParcelSpan| other.fingerprint.key == span.fingerprint.key;
            let mut group = earlier.iter().chain([parcel]);
            group.find_map(|parcel| Version::in_parcel(parcel, parcel.spans.iter().find(ids)?))
        };
        let is_enrichment = |key: &str| self.settings.enrichment.iter().any(|pattern| pattern.matches(key));
        first.is_some_and(|first| first.is_alike(&this, &is_enrichment))
    }

    /// Notes that what is sealed below this size is in the log.
    pub(crate) fn durable(&mut self, size: u64) {
        self.firsts.durable(size);
    }

    /// Returns whether there is no conflict that a finding has to tell of.
    pub(crate) fn is_told(&self) -> bool {
        self.unsealed.is_empty()
    }

    /// Returns what a finding is due to tell, and takes it as told.
    pub(crate) fn due(&mut self, now: &Moment) -> Vec<Untold> {
        let interval = self.settings.finding;
        let is_due = |unsealed: &Unsealed| unsealed.told.is_none_or(|told| now.since(&told) >= interval);
        // A tenant with nothing to tell is forgotten as soon as a finding of it would be due at once.
        self.unsealed.retain(|_, unsealed| unsealed.spans > 0 || !is_due(unsealed));
        self.tell(now, is_due)
    }

    /// Returns all that no finding has told, and takes it as told.
    pub(crate) fn rest(&mut self, now: &Moment) -> Vec<Untold> {
        self.tell(now, |_| true)
    }

    fn tell(&mut self, now: &Moment, is_due: impl Fn(&Unsealed) -> bool) -> Vec<Untold> {
        let due = self.unsealed.iter_mut().filter(|(_, unsealed)| unsealed.spans > 0 && is_due(unsealed));
        let told = due.map(|(tenant, unsealed)| {
            unsealed.told = Some(*now);
            Untold { tenant: tenant.clone(), spans: std::mem::take(&mut unsealed.spans) }
        });
        let mut told: Vec<Untold> = told.collect();
        told.sort_unstable_by(|a, b| a.tenant.cmp(&b.tenant));
        told
    }
}
