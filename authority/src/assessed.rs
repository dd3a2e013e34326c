//! What was found of one span: grades, reasons, verdict.

use spanseal_schemas::event::{Assessment, Claim, Grade, Verdict};

use crate::claims::Claims;
use crate::reason::{Effect, Reason};

/// How many claims are graded.
pub const CLAIMS: usize = 11;

/// Each claim's grade, at the place of its [`Claim`] number.
pub type Grades = [Grade; CLAIMS];

/// The judgement on one span, as of its arrival.
#[derive(Clone, Debug, PartialEq)]
pub struct Assessed {
    /// Of the action; [`Verdict::NoAction`] for other spans.
    pub verdict: Verdict,
    /// How far each claim holds.
    pub grades: Grades,
    /// Why, ascending, each once.
    pub reasons: Vec<Reason>,
    /// The process that numbered the action and the number, when its claims verify.
    pub producer: Option<([u8; 16], u64)>,
    /// The claims, when they verify and are bound to this span.
    pub claims: Option<Box<Claims>>,
}

impl Assessed {
    /// A span that is no action and makes no claims.
    pub const NOTHING: Assessed = Assessed {
        verdict: Verdict::NoAction,
        grades: [Grade::Absent; CLAIMS],
        reasons: Vec::new(),
        producer: None,
        claims: None,
    };

    /// Returns one claim's grade.
    #[must_use]
    pub fn grade(&self, claim: Claim) -> Grade {
        self.grades[claim as usize]
    }

    /// Returns what is sealed: nothing for [`Assessed::NOTHING`].
    #[must_use]
    pub fn assessment(&self) -> Option<Assessment> {
        let last = self.grades.iter().rposition(|grade| *grade != Grade::Absent);
        if self.verdict == Verdict::NoAction && last.is_none() {
            return None;
        }
        let grades = &self.grades[..last.map_or(0, |last| last + 1)];
        Some(Assessment {
            verdict: self.verdict as i32,
            grades: grades.iter().map(|grade| *grade as u8).collect(),
            reasons: self.reasons.iter().map(|reason| reason.code().into()).collect(),
        })
    }
}

/// An [`Assessed`] in the making. A contradicted claim stays contradicted.
#[derive(Debug)]
pub(crate) struct Judgement {
    grades: Grades,
    reasons: Vec<Reason>,
}

impl Judgement {
    /// Begins with what the span's attributes assert.
    pub(crate) fn from_asserted(grades: Grades) -> Self {
        Self { grades, reasons: Vec::new() }
    }

    pub(crate) fn grade(&self, claim: Claim) -> Grade {
        self.grades[claim as usize]
    }

    /// Raises a claim's grade; never lowers it.
    pub(crate) fn raise(&mut self, claim: Claim, grade: Grade) {
        let held = &mut self.grades[claim as usize];
        *held = (*held).max(grade);
    }

    /// Raises a claim that is made to `asserted`.
    pub(crate) fn assert(&mut self, claim: Claim, made: bool) {
        if made {
            self.raise(claim, Grade::Asserted);
        }
    }

    /// Notes a reason that withholds a proof, or says what was not checked.
    pub(crate) fn note(&mut self, reason: Reason) {
        debug_assert_ne!(reason.effect(), Effect::Contradicts, "{reason:?} belongs to a claim");
        self.reasons.push(reason);
    }

    /// Notes that a claim is contradicted, and why.
    pub(crate) fn contradict(&mut self, claim: Claim, reason: Reason) {
        debug_assert_eq!(reason.effect(), Effect::Contradicts, "{reason:?}");
        self.grades[claim as usize] = Grade::Contradicted;
        self.reasons.push(reason);
    }

    /// Notes either, by the reason's effect.
    pub(crate) fn fault(&mut self, claim: Claim, reason: Reason) {
        match reason.effect() {
            Effect::Contradicts => self.contradict(claim, reason),
            Effect::Withholds | Effect::Notes => self.note(reason),
        }
    }

    pub(crate) fn is_contradicted(&self) -> bool {
        self.grades.contains(&Grade::Contradicted)
    }

    /// Ends with a verdict on an action, under the default profile.
    pub(crate) fn verdict(mut self) -> Assessed {
        self.reasons.sort_unstable();
        self.reasons.dedup();
        let verdict = self.profile();
        Assessed { verdict, grades: self.grades, reasons: self.reasons, producer: None, claims: None }
    }

    /// The default profile, `docs/claims.md` section 11: what must be verified is, and nothing withholds.
    fn profile(&self) -> Verdict {
        let withheld = self.reasons.iter().any(|reason| reason.effect() != Effect::Notes);
        let verified =
            [Claim::Actor, Claim::Approval, Claim::Scope].iter().all(|claim| self.grade(*claim) == Grade::Verified);
        let initiated = self.grade(Claim::Initiator) >= Grade::Asserted;
        match () {
            () if self.is_contradicted() => Verdict::Violated,
            () if verified && initiated && !withheld => Verdict::Proven,
            () => Verdict::Unproven,
        }
    }
}
