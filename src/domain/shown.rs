//! Text for eyes: what a caller, a file or another program wrote must not steer the terminal that shows
//! it, nor begin a line of its own. JSON keeps everything as it is.

use std::borrow::Cow;

/// Stands for a character that is not shown.
const NOT_SHOWN: char = '\u{fffd}';

/// Several lines of ours, in which whatever else steers is not shown.
pub fn plain(text: &str) -> Cow<'_, str> {
    shown(text, |c| c == '\n')
}

/// A piece of somebody else's text: it stays within its line.
pub fn one_line(text: &str) -> Cow<'_, str> {
    shown(text, |_| false)
}

fn shown(text: &str, passes: impl Fn(char) -> bool) -> Cow<'_, str> {
    let hides = |c: char| steers(c) && !passes(c);
    match text.contains(hides) {
        true => text.chars().map(|c| if hides(c) { NOT_SHOWN } else { c }).collect(),
        false => text.into(),
    }
}

/// Control characters, separators of lines and paragraphs, and whatever turns the direction of what
/// follows (UAX #9).
pub fn steers(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{2028}' | '\u{2029}' | '\u{200e}' | '\u{200f}' | '\u{61c}')
        || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_steers_is_shown_and_everything_else_is() {
        let steering =
            "\r\n\t\0\x1b[2J\x07\x7f\u{85}\u{9b}\u{2028}\u{2029}\u{202e}\u{2066}\u{200f}\u{61c}";
        let shown = one_line(steering);
        assert_eq!(shown.chars().filter(|c| *c == NOT_SHOWN).count(), steering.chars().count() - 3);
        assert!(shown.contains("[2J") && !shown.contains(steers), "{shown:?}");
        assert_eq!(one_line("Bäcker & Söhne, Łódź 東京"), "Bäcker & Söhne, Łódź 東京");
        assert_eq!(plain("a\nb\r\n"), "a\nb\u{fffd}\n");
    }
}
