//! Edits of notes and of the trust file.

use super::{Base, Random, Tree};

pub(super) fn edit_note(_: &Base, tree: &mut Tree, random: &mut Random) -> Option<String> {
    let name = random.pick(&tree.notes())?;
    let note = String::from_utf8_lossy(&tree.files[&name]).into_owned();
    let (said, note) = change_note(&note, random)?;
    tree.files.insert(name.clone(), note.into_bytes());
    Some(format!("{said} in {name}"))
}

fn change_note(note: &str, random: &mut Random) -> Option<(&'static str, String)> {
    let mut lines: Vec<String> = note.lines().map(ToOwned::to_owned).collect();
    let at = random.below(lines.len());
    let said = match random.below(7) {
        0 => {
            let size: u64 = lines.get(1)?.parse().ok()?;
            lines[1] = size.wrapping_add(1).wrapping_sub(random.next() % 3).to_string();
            "size"
        }
        1 => {
            lines.remove(at);
            "line dropped"
        }
        2 => {
            lines.push(lines.last()?.clone());
            "line again"
        }
        3 => {
            let other = random.below(lines.len());
            lines.swap(at, other);
            "lines swapped"
        }
        4 => {
            lines[0] = lines[0].replacen("/", "-", 1);
            "origin"
        }
        5 => {
            let stranger = lines.last()?.replacen("\u{2014} ", "\u{2014} stranger\u{a0}", 1);
            lines.push(if random.below(2) == 0 { stranger.replace('\u{a0}', "/") } else { stranger });
            "line by a stranger"
        }
        _ => return Some(("CR", note.replace('\n', "\r\n"))),
    };
    Some((said, lines.join("\n") + "\n"))
}

pub(super) fn edit_trust(base: &Base, tree: &mut Tree, random: &mut Random) -> Option<String> {
    let mut lines: Vec<String> = tree.trust.lines().map(ToOwned::to_owned).collect();
    let at = random.below(lines.len());
    let said = match random.below(8) {
        0 => {
            lines.remove(at);
            format!("line {at} dropped")
        }
        1 => {
            lines.insert(random.below(lines.len()), lines[at].clone());
            format!("line {at} again")
        }
        2 => {
            let other = random.below(lines.len());
            lines.swap(at, other);
            format!("lines {at} and {other} swapped")
        }
        3 => return Some(("CR LF", tree.trust = tree.trust.replace('\n', "\r\n"))).map(|(said, ())| said.to_owned()),
        4 => {
            let [one, other] = base.streams.map(|stream| stream.to_string());
            let text = tree.trust.replace(&one, "one").replace(&other, &one).replace("one", &other);
            tree.trust = text;
            return Some("pins of the streams swapped".to_owned());
        }
        5 => {
            lines.truncate(at);
            format!("cut at line {at}")
        }
        6 => {
            lines.insert(
                at,
                ["# a word", "", "\u{7f}", "#\u{7f}", "pin root", "|", "\u{85}"][random.below(7)].to_owned(),
            );
            format!("line {at} inserted")
        }
        _ => {
            let line = lines.get_mut(at)?;
            let place = line.char_indices().nth(random.below(line.chars().count()))?.0;
            let length = line[place..].chars().next()?.len_utf8();
            line.replace_range(place..place + length, ["", "A", "+", " ", "\u{a0}"][random.below(5)]);
            format!("character {place} of line {at}")
        }
    };
    tree.trust = lines.join("\n") + "\n";
    Some(format!("trust file: {said}"))
}
