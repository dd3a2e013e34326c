//! Spans as a tree. Nothing about them is to be trusted: parents may be missing, or lead in a circle.

use std::collections::{BTreeMap, BTreeSet};

use super::answer::{Branch, Node, SpanNode};

/// Returns every span once, each before those below it and siblings by their start, with parents that are missing in
/// their children's place. In a circle of parents the span that starts first becomes a root.
pub(super) fn grow(mut spans: Vec<SpanNode>) -> Vec<Branch> {
    spans.sort_by(|a, b| (a.start_unix_nano, &a.span).cmp(&(b.start_unix_nano, &b.span)));
    let mut below: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (place, span) in spans.iter().enumerate() {
        below.entry(span.parent.clone().unwrap_or_default()).or_default().push(place);
    }
    let tops = tops(&spans, &below);
    let mut left: Vec<Option<SpanNode>> = spans.into_iter().map(Some).collect();
    let mut tree = Vec::new();
    for top in tops.into_iter().chain((0..left.len()).map(Top::Span)) {
        grow_top(top, &mut left, &below, &mut tree);
    }
    tree
}

/// Where a tree begins.
enum Top {
    Span(usize),
    Missing(String),
}

/// Returns the roots and the parents that are missing, by the start of what comes first.
fn tops(spans: &[SpanNode], below: &BTreeMap<String, Vec<usize>>) -> Vec<Top> {
    let present: BTreeSet<&str> = spans.iter().map(|span| span.span.as_str()).collect();
    let mut tops: Vec<(usize, Top)> = Vec::new();
    for (parent, children) in below {
        if parent.is_empty() {
            tops.extend(children.iter().map(|place| (*place, Top::Span(*place))));
        } else if !present.contains(parent.as_str()) {
            tops.push((children[0], Top::Missing(parent.clone())));
        }
    }
    tops.sort_by_key(|(first, _)| *first);
    tops.into_iter().map(|(_, top)| top).collect()
}

/// Adds what is left of a top and everything below it. A loop, since a trace may be one chain of a million spans.
fn grow_top(top: Top, left: &mut [Option<SpanNode>], below: &BTreeMap<String, Vec<usize>>, tree: &mut Vec<Branch>) {
    let children = |span: &str, depth| {
        let places = below.get(span).into_iter().flatten().rev();
        places.map(move |place| (*place, depth))
    };
    let mut waiting: Vec<(usize, usize)> = Vec::new();
    match top {
        Top::Span(place) => waiting.push((place, 0)),
        Top::Missing(span) => {
            waiting.extend(children(&span, 1));
            tree.push(Branch { depth: 0, node: Node::Missing { span } });
        }
    }
    while let Some((place, depth)) = waiting.pop() {
        let Some(span) = left[place].take() else { continue };
        waiting.extend(children(&span.span, depth + 1));
        tree.push(Branch { depth, node: Node::Span(Box::new(span)) });
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn span(name: &str, parent: Option<&str>, start: u64) -> SpanNode {
        SpanNode { span: name.into(), parent: parent.map(str::to_owned), start_unix_nano: start, ..SpanNode::default() }
    }

    /// Writes a tree with the depth before each name, missing parents with a question mark.
    fn draw(tree: &[Branch]) -> String {
        let each = tree.iter().map(|branch| match &branch.node {
            Node::Span(span) => format!("{}{}", branch.depth, span.span),
            Node::Missing { span } => format!("{}?{span}", branch.depth),
        });
        each.collect::<Vec<_>>().join(" ")
    }

    #[track_caller]
    fn check(spans: &[(&str, Option<&str>, u64)], drawn: &str) {
        let spans = spans.iter().map(|(name, parent, start)| span(name, *parent, *start)).collect();
        assert_eq!(draw(&grow(spans)), drawn);
    }

    #[test]
    fn puts_children_under_their_parents_by_start() {
        check(&[("c", Some("a"), 9), ("b", Some("a"), 5), ("d", Some("c"), 10), ("a", None, 1)], "0a 1b 1c 2d");
    }

    #[test]
    fn shows_a_parent_that_is_missing_once() {
        check(&[("b", Some("x"), 2), ("c", Some("x"), 3), ("a", None, 1)], "0a 0?x 1b 1c");
    }

    #[test]
    fn cuts_circles_where_they_start() {
        check(&[("a", Some("c"), 2), ("b", Some("a"), 3), ("c", Some("b"), 4)], "0a 1b 2c");
        check(&[("a", Some("a"), 1)], "0a");
    }

    #[test]
    fn holds_a_deep_chain() {
        let name = |n: u64| format!("{n:08}");
        let spans = (0..100_000).map(|n: u64| span(&name(n), n.checked_sub(1).map(name).as_deref(), n)).collect();
        let tree = grow(spans);
        assert_eq!(tree.last().map(|branch| branch.depth), Some(99_999));
    }

    proptest! {
        #[test]
        fn keeps_every_span_once(parents in prop::collection::vec(prop::option::of(0usize..12), 1..10)) {
            let spans = parents.iter().enumerate()
                .map(|(n, parent)| span(&n.to_string(), parent.map(|p| p.to_string()).as_deref(), n as u64 % 3));
            let mut names: Vec<usize> = grow(spans.collect()).into_iter()
                .filter_map(|branch| match branch.node {
                    Node::Span(span) => Some(span.span.parse().unwrap()),
                    Node::Missing { .. } => None,
                })
                .collect();
            names.sort_unstable();
            prop_assert_eq!(names, (0..parents.len()).collect::<Vec<_>>());
        }
    }
}
