//! One message: one event, or all that have waited together.
#![forbid(unsafe_code)]

use chrono::Utc;

/// A message.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Message {
    /// The first line of the first event.
    pub title: String,
    /// What stands below the title.
    pub text: String,
    /// Both.
    pub whole: String,
    /// What no other message has; the same when the message is tried again.
    pub id: String,
}

impl Message {
    /// One message of some events, at most so many bytes long, and how many of the events it tells. Events
    /// that are JSON are put in a row; of texts all are told, if need be by their first lines alone or by their number.
    pub fn of(events: &[&str], limit: usize, json: bool) -> (Message, usize) {
        let id = format!("f2b-{}-{:08x}", Utc::now().timestamp(), fastrand::u32(..));
        if json {
            let mut whole = String::new();
            let mut told = 0;
            for event in events {
                if told > 0 && whole.len() + 1 + event.len() > limit {
                    break;
                }
                if told > 0 {
                    whole.push(',');
                }
                whole.push_str(event);
                told += 1;
            }
            let message = Message {
                whole,
                id,
                ..Message::default()
            };
            return (message, told);
        }
        let message = match events {
            [] => Message::default(),
            [event] => {
                let (title, text) = event.split_once('\n').unwrap_or((event, ""));
                Message {
                    title: cut(title, limit),
                    text: cut(text, limit),
                    whole: cut(event, limit),
                    id,
                }
            }
            [first, ..] => {
                let title = format!("{} and {} more", first_line(first), events.len() - 1);
                let text = together(events, limit);
                Message {
                    title: cut(&title, limit),
                    whole: text.clone(),
                    text,
                    id,
                }
            }
        };
        (message, events.len())
    }
}

/// All events, or their first lines, or as many of them as there is room for.
fn together(events: &[&str], limit: usize) -> String {
    let full: usize = events.iter().map(|event| event.len() + 2).sum();
    if full <= limit {
        return events.join("\n\n");
    }
    // for the line that tells of the rest
    let room = limit.saturating_sub(40);
    let mut out = String::new();
    let mut told = 0;
    for event in events {
        let line = first_line(event);
        if told > 0 && out.len() + line.len() + 1 > room {
            break;
        }
        out.push_str(&cut(line, room));
        out.push('\n');
        told += 1;
    }
    match events.len() - told {
        0 => out.truncate(out.trim_end().len()),
        rest => out.push_str(&format!("and {rest} more")),
    }
    out
}

fn first_line(event: &str) -> &str {
    event.split('\n').next().unwrap_or_default()
}

/// A text of so many bytes, with dots in the place of what is left out.
pub fn cut(text: &str, most: usize) -> String {
    if text.len() <= most {
        return text.to_owned();
    }
    let room = most.saturating_sub(3);
    let end = (0..=room).rev().find(|&at| text.is_char_boundary(at));
    format!("{}...", &text[..end.unwrap_or(0)])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(events: &[&str], limit: usize) -> Message {
        let (message, told) = Message::of(events, limit, false);
        assert_eq!(told, events.len());
        message
    }

    #[test]
    fn one_event_is_told_whole() {
        let message = of(&["a\nb\nc"], 100);
        assert_eq!((&*message.title, &*message.text), ("a", "b\nc"));
        assert_eq!(message.whole, "a\nb\nc");
        assert_ne!(message.id, of(&["a\nb\nc"], 100).id);
        assert_eq!(of(&["éééé"], 8).whole, "éééé");
        assert_eq!(of(&["ééééé"], 8).whole, "éé...");
    }

    #[test]
    fn many_events_are_told_as_far_as_there_is_room() {
        let message = of(&["a\nb", "c\nd", "e"], 100);
        assert_eq!(message.title, "a and 2 more");
        assert_eq!(message.whole, "a\nb\n\nc\nd\n\ne");
        let long = [
            "a\nbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb",
            "c\nd",
        ];
        assert_eq!(of(&long, 50).whole, "a\nc");
        let events: Vec<String> = (0..1000).map(|n| format!("banned {n}\nlines")).collect();
        let events: Vec<&str> = events.iter().map(|event| &**event).collect();
        let message = of(&events, 200);
        assert!(message.whole.len() <= 200);
        assert!(message.whole.starts_with("banned 0\nbanned 1\n"));
        let told = message.whole.lines().count() - 1;
        assert!(
            message
                .whole
                .ends_with(&format!("\nand {} more", 1000 - told))
        );
    }

    #[test]
    fn events_of_json_stand_in_a_row() {
        let (message, told) = Message::of(&["{\"a\":1}", "{}", "{\"b\":2}"], 12, true);
        assert_eq!((&*message.whole, told), ("{\"a\":1},{}", 2));
        let (message, told) = Message::of(&["{\"long\":1}"], 2, true);
        assert_eq!((&*message.whole, told), ("{\"long\":1}", 1));
    }
}
