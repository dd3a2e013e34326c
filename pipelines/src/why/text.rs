//! The answer as plain text: a tree that an investigator reads from top to bottom. Colour is left to whoever prints it.

use std::collections::HashSet;

use spanseal_authority::Reason;

use super::answer::{Account, Answer, Branch, Conflict, CutLine, Erased, Node, Other, Part, Place, Proof, SpanNode};
use crate::printed::{duration, grouped, printable, time, time_of_seconds, wrap};

/// How much is shown, and how wide.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    /// Characters in a line, as far as ids allow.
    pub width: usize,
    /// Every attribute of every span.
    pub attributes: bool,
    /// File, leaf, seal and the path of each proof.
    pub hashes: bool,
}

impl Default for Layout {
    fn default() -> Self {
        Self { width: 100, attributes: false, hashes: false }
    }
}

/// Returns the answer as text, every line ended.
pub fn text(answer: &Answer, layout: &Layout) -> String {
    let spans = answer.tree.iter().filter_map(|branch| match &branch.node {
        Node::Span(span) => Some(span.span.as_str()),
        Node::Missing { .. } => None,
    });
    let mut page = Page { lines: Vec::new(), layout: *layout, spans: spans.collect() };
    page.title(answer);
    page.tree(&answer.tree);
    for other in &answer.others {
        page.other(other);
    }
    page.footer(answer);
    page.lines.join("\n") + "\n"
}

struct Page<'a> {
    lines: Vec<String>,
    layout: Layout,
    /// Ids of the spans that are shown.
    spans: HashSet<&'a str>,
}

impl Page<'_> {
    fn title(&mut self, answer: &Answer) {
        if let Some(trace) = &answer.trace {
            self.lines.push(format!("trace {trace}"));
        }
        if let Some(event) = &answer.event {
            self.lines.push(format!("asked for event {event}"));
        }
        if answer.spans == 0 {
            return;
        }
        let taken = duration(answer.end_unix_nano.saturating_sub(answer.start_unix_nano));
        let missing = if answer.missing > 0 { format!(", {} missing", answer.missing) } else { String::new() };
        let spans = plural(answer.spans, "span");
        self.lines.push(format!("{spans}{missing}, from {}, {taken}", time(answer.start_unix_nano)));
        if !answer.verdicts.is_empty() {
            let counts: Vec<String> =
                answer.verdicts.iter().map(|(verdict, count)| format!("{count} {verdict}")).collect();
            self.lines.push(format!("actions: {}", counts.join(", ")));
        }
        self.lines.push(String::new());
    }

    fn tree(&mut self, tree: &[Branch]) {
        let more = siblings_follow(tree);
        let mut stems: Vec<bool> = Vec::new();
        for (place, branch) in tree.iter().enumerate() {
            stems.truncate(branch.depth);
            stems.resize(branch.depth, false);
            let has_children = tree.get(place + 1).is_some_and(|next| next.depth > branch.depth);
            let twig = twig(&stems, branch.depth, more[place]);
            stems.push(more[place]);
            let stem = stem(&stems, has_children);
            match &branch.node {
                Node::Missing { span } => {
                    self.lines.push(format!("{twig}? span {span} is named as parent and is not in the ledger"))
                }
                Node::Span(span) => self.span(span, &twig, &stem),
            }
        }
    }

    fn span(&mut self, span: &SpanNode, twig: &str, stem: &str) {
        let right = duration(span.end_unix_nano.saturating_sub(span.start_unix_nano));
        let verdict = match (span.verdict, &span.account) {
            (Some(verdict), _) if span.reasons.iter().any(|reason| reason.name == Reason::DevRoot.name()) => {
                format!("{} (dev root)  ", verdict.to_uppercase())
            }
            (Some(verdict), _) => format!("{}  ", verdict.to_uppercase()),
            (None, Account { decides: Some(_), refused: Some(_), .. }) => "REFUSED  ".to_owned(),
            _ => String::new(),
        };
        let right = format!("{verdict}{right:>8}");
        let left = format!("{twig}{}", printable(&span.name));
        let gap = self.layout.width.saturating_sub(left.chars().count() + right.chars().count()).max(2);
        self.lines.push(format!("{left}{}{right}", " ".repeat(gap)));
        let acted = span.account.decides.as_deref().map(|action| self.spans.contains(action));
        for (label, value) in facts(span, acted, &self.layout) {
            self.fact(stem, label, &value);
        }
    }

    fn fact(&mut self, stem: &str, label: &str, value: &str) {
        let indent = stem.chars().count() + LABEL_WIDTH;
        let room = self.layout.width.saturating_sub(indent).max(ROOM_MIN);
        for (place, line) in wrap(value, room).iter().enumerate() {
            let label = if place == 0 { label } else { "" };
            self.lines.push(format!("{stem}{label:<LABEL_WIDTH$}{line}"));
        }
    }

    fn other(&mut self, other: &Other) {
        self.lines.push(String::new());
        self.lines.push(format!("{} {}", other.kind, other.place.event));
        self.fact("  ", "says", &printable(&other.says));
        if !other.about.is_empty() {
            self.fact("  ", "about", &other.about.join(", "));
        }
        for (label, value) in place_facts(&other.place, &self.layout) {
            self.fact("  ", label, &value);
        }
    }

    fn footer(&mut self, answer: &Answer) {
        self.lines.push(String::new());
        self.lines
            .push(format!("searched {}", plural(usize::try_from(answer.searched).unwrap_or(usize::MAX), "event")));
        for note in &answer.notes {
            let wrapped = wrap(&printable(note), self.layout.width.saturating_sub(2).max(ROOM_MIN));
            self.lines.extend(
                wrapped.into_iter().enumerate().map(|(n, line)| format!("{}{line}", if n == 0 { "! " } else { "  " })),
            );
        }
    }
}

/// Says of each line whether a sibling comes after it.
fn siblings_follow(tree: &[Branch]) -> Vec<bool> {
    // open[d]: below the lines gone through so far, from the end, there is one of depth d before one of less.
    let mut open: Vec<bool> = Vec::new();
    let mut more: Vec<bool> = tree
        .iter()
        .rev()
        .map(|branch| {
            open.resize(branch.depth + 1, false);
            std::mem::replace(&mut open[branch.depth], true)
        })
        .collect();
    more.reverse();
    more
}

/// What stands before a span's name.
fn twig(stems: &[bool], depth: usize, more: bool) -> String {
    let Some(above) = depth.checked_sub(1) else { return String::new() };
    let mut twig = stem_of(&stems[..=above][1..]);
    twig.push_str(if more { "├─ " } else { "└─ " });
    twig
}

/// What stands before the facts of a span: the stems of those above, its own siblings' and its children's.
fn stem(stems: &[bool], has_children: bool) -> String {
    let mut stem = stem_of(&stems[1..]);
    stem.push_str(if has_children { "│  " } else { "   " });
    stem
}

/// Deep down the outermost stems are left out, so that there is room to write.
fn stem_of(stems: &[bool]) -> String {
    let shown = stems.len().min(STEMS_MAX);
    let mut stem = if stems.len() > shown { format!("…{} ", stems.len() - shown) } else { String::new() };
    stems[stems.len() - shown..].iter().for_each(|more| stem.push_str(if *more { "│  " } else { "   " }));
    stem
}

/// Returns what there is to say about a span. `acted` says of a decision whether the action's span is shown.
fn facts(span: &SpanNode, acted: Option<bool>, layout: &Layout) -> Vec<(&'static str, String)> {
    let mut facts = Vec::new();
    let account = &span.account;
    if let (Some(action), None, Some(true), false) = (&account.decides, &account.refused, acted, layout.attributes) {
        // All of it stands at the action.
        push(&mut facts, "decided", [Some(format!("leave for span {action}"))]);
        facts.extend(place_facts(&span.place, layout));
        return facts;
    }
    let graded = |value: &Option<String>, claim: &str| {
        let value = printable(value.as_ref()?);
        Some(match span.grades.get(claim) {
            Some(grade) => format!("{value} ({grade})"),
            None => value,
        })
    };
    let agent = account.agent.as_ref().map(|agent| format!("agent {}", printable(agent)));
    let service = span.service.as_ref().map(|service| format!("service {}", printable(service)));
    push(&mut facts, "who", [graded(&account.actor, "actor"), agent, service]);
    let owner = graded(&account.owner, "owner").map(|owner| format!("owner {owner}"));
    let supervisor = account.supervisor.as_ref().map(|supervisor| format!("supervised by {}", printable(supervisor)));
    push(&mut facts, "for", [graded(&account.user, "initiator"), owner, supervisor]);
    let chain = account.delegation.iter().map(|party| printable(party)).collect::<Vec<_>>().join(" → ");
    push(
        &mut facts,
        "through",
        [Some(chain).filter(|chain| !chain.is_empty()), graded(&account.credential, "credential")],
    );
    let label = if account.decides.is_some() { "asked" } else { "did" };
    push(&mut facts, label, deed(account));
    push(&mut facts, "refused", [account.refused.as_ref().map(|why| printable(why))]);
    if let (Some(action), None, Some(false)) = (&account.decides, &account.refused, acted) {
        let lost = format!("leave for span {action}, which is not in the ledger: nothing says whether it ran");
        push(&mut facts, "decided", [Some(lost)]);
    }
    let path = account.path.iter().map(|tool| printable(tool)).collect::<Vec<_>>().join(" → ");
    push(&mut facts, "inside", [Some(path).filter(|_| account.path.len() > 1)]);
    let runtime = account.runtime.iter().filter(|(what, _)| layout.attributes || **what != "executable");
    push(&mut facts, "where", runtime.map(|(what, value)| Some(format!("{what} {}", printable(value)))));
    push(&mut facts, "leave", leave(span));
    let business = account.business.iter().map(|(what, value)| format!("{what} {}", printable(value)));
    push(&mut facts, "business", business.map(Some));
    if let Some(outcome) = account.outcome.as_ref().filter(|outcome| *outcome != "error") {
        push(&mut facts, "ended", [Some(printable(outcome))]);
    }
    if let Some(status) = span.status.filter(|status| *status == "error") {
        let message = span.status_message.as_deref().map(|message| format!("{status}: {}", printable(message)));
        push(&mut facts, "ended", [message.or_else(|| Some(status.to_owned()))]);
    }
    for reason in &span.reasons {
        facts.push(("because", format!("{} ({})", reason.sentence, reason.name)));
        if !reason.remedy.is_empty() {
            facts.push(("", format!("→ {}", reason.remedy)));
        }
    }
    if layout.attributes {
        facts.extend(
            span.attributes.iter().map(|(key, value)| ("has", format!("{} = {}", printable(key), printable(value)))),
        );
    }
    facts.extend(cut_facts(span));
    facts.extend(place_facts(&span.place, layout));
    push(&mut facts, "again", span.again.iter().cloned().map(Some));
    push(
        &mut facts,
        "conflict",
        span.conflicts.iter().map(|Conflict { event, variant }| {
            let what = if *variant { "a variant: only enrichment differs" } else { "the same ids and other bytes" };
            Some(format!("{event} ({what})"))
        }),
    );
    facts
}

/// What was cut by whose key it is under: how much, and whether it was erased.
fn cut_facts(span: &SpanNode) -> Vec<(&'static str, String)> {
    let mut cuts: Vec<(&CutLine, usize, u64)> = Vec::new();
    for cut in &span.cuts {
        match cuts.iter_mut().find(|(first, ..)| (first.of, &first.subject) == (cut.of, &cut.subject)) {
            Some((_, values, bytes)) => (*values, *bytes) = (*values + 1, *bytes + u64::from(cut.bytes)),
            None => cuts.push((cut, 1, cut.bytes.into())),
        }
    }
    let fact = |(cut, values, bytes): (&CutLine, usize, u64)| {
        let of = match cut.of {
            Part::Span => "",
            Part::Resource => " of the resource",
            Part::Scope => " of the scope",
        };
        let what = format!("{}{of} of {} bytes", plural(values, "value"), grouped(bytes));
        match (&cut.erased, &cut.subject) {
            (Some(Erased { event, unix_nano, requested_by, legal_basis }), _) => {
                let (who, why) = (printable(requested_by), printable(legal_basis));
                ("erased", format!("{what}, {} at the request of {who} ({why}), event {event}", time(*unix_nano)))
            }
            (None, Some(subject)) => ("cut", format!("{what}, under the key of subject {subject}")),
            (None, None) => ("cut", format!("{what}, and its payload record is not in the log")),
        }
    };
    cuts.into_iter().map(fact).collect()
}

fn push(
    facts: &mut Vec<(&'static str, String)>,
    label: &'static str,
    values: impl IntoIterator<Item = Option<String>>,
) {
    let values: Vec<String> = values.into_iter().flatten().collect();
    if !values.is_empty() {
        facts.push((label, values.join(", ")));
    }
}

fn deed(account: &Account) -> [Option<String>; 4] {
    let with = |word: &str, value: &Option<String>| value.as_ref().map(|value| format!("{word}{}", printable(value)));
    [
        with("", &account.action),
        with("on ", &account.target),
        with("with tool ", &account.tool),
        with("in conversation ", &account.conversation),
    ]
}

fn leave(span: &SpanNode) -> [Option<String>; 2] {
    let grade = |claim: &str| span.grades.get(claim).map(|grade| format!(" ({grade})")).unwrap_or_default();
    let approval = span.account.approval.as_ref().map(|approval| {
        let by = approval.approver.as_ref().map(|approver| format!(" by {}", printable(approver))).unwrap_or_default();
        let until = approval.expires.map(|expires| format!(" until {}", time_of_seconds(expires))).unwrap_or_default();
        let why = approval.justification.as_ref().map(|why| format!(": {}", printable(why))).unwrap_or_default();
        format!("approval {}{by}{until}{why}{}", printable(&approval.id), grade("approval"))
    });
    let policy = span.account.policy.as_ref().map(|policy| format!("policy {}{}", printable(policy), grade("policy")));
    [approval, policy]
}

fn place_facts(place: &Place, layout: &Layout) -> Vec<(&'static str, String)> {
    let (first, last) = place.batch;
    let sealed = time(place.sealed_unix_nano);
    let mut facts = vec![
        ("event", place.event.clone()),
        ("sealed", format!("{sealed} in batch {first} to {last}, epoch {}", place.epoch)),
        ("proof", proof(&place.proof)),
    ];
    if layout.hashes {
        facts.push(("file", format!("{} at byte {}", place.file, place.offset)));
        facts.push(("leaf", place.leaf.clone()));
        facts.push(("seal", place.seal.clone()));
        if let Proof::Included { hashes, .. } = &place.proof {
            facts.extend(hashes.iter().map(|hash| ("path", hash.clone())));
        }
    }
    facts
}

fn proof(proof: &Proof) -> String {
    match proof {
        Proof::Included { size, checkpoint_unix_seconds, .. } => {
            let signed = time_of_seconds(*checkpoint_unix_seconds);
            format!("hashed again, and in the tree of {} events that was signed {signed}", grouped(*size))
        }
        Proof::Sealed { because } => format!("hashed again, and under a seal that verifies; {because}"),
        Proof::Refused { because } => format!("REFUSED: {because}"),
        Proof::NotChecked => "not checked".to_owned(),
    }
}

fn plural(count: usize, word: &str) -> String {
    format!("{} {word}{}", grouped(count as u64), if count == 1 { "" } else { "s" })
}

const LABEL_WIDTH: usize = 10;
/// Narrower than this no text is broken.
const ROOM_MIN: usize = 24;
/// Levels that are drawn.
const STEMS_MAX: usize = 12;
