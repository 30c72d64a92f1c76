//! Takes out of a text what people cannot see.

use std::borrow::Cow;

/// Characters that a terminal's string sequence (OSC, DCS …) may have before it no longer counts as one.
const SEQUENCE_CHARS_MAX: usize = 256;

/// `text` without what people cannot see. Borrows when there is none of it.
pub fn strip(text: &str) -> Cow<'_, str> {
    let plain = |byte: u8| matches!(byte, b' '..=b'~' | b'\n' | b'\t');
    let Some(first) = text.bytes().position(|byte| !plain(byte)) else { return Cow::Borrowed(text) };
    // All before `first` is ASCII, so it is a character's border.
    match text[first..].char_indices().find(|(_, c)| is_invisible(*c)) {
        Some((offset, _)) => Cow::Owned(stripped(text, first + offset)),
        None => Cow::Borrowed(text),
    }
}

fn stripped(text: &str, first: usize) -> String {
    let mut out = String::with_capacity(text.len());
    out.push_str(&text[..first]);
    let mut rest = &text[first..];
    while let Some(c) = rest.chars().next() {
        let after = &rest[c.len_utf8()..];
        rest = match c {
            '\u{1b}' => after_escape(after),
            '\u{9b}' => after_control_sequence(after),
            '\u{90}' | '\u{98}' | '\u{9d}' | '\u{9e}' | '\u{9f}' => after_string(after),
            '\r' if !after.starts_with('\n') => {
                out.push('\n');
                after
            }
            '\u{2028}' | '\u{2029}' => {
                out.push('\n');
                after
            }
            '\u{fe0e}' | '\u{fe0f}' if out.chars().next_back().is_some_and(is_symbol) => {
                out.push(c);
                after
            }
            _ if is_invisible(c) => after,
            _ => {
                out.push(c);
                after
            }
        };
    }
    out
}

/// What follows the escape sequence whose ESC came before `rest` (ECMA-48, section 5.3).
fn after_escape(rest: &str) -> &str {
    match rest.as_bytes().first() {
        Some(b'[') => after_control_sequence(&rest[1..]),
        Some(b']' | b'P' | b'X' | b'^' | b'_') => after_string(&rest[1..]),
        Some(b' '..=b'/') => {
            let final_byte = rest.trim_start_matches(|c| matches!(c, ' '..='/'));
            match final_byte.as_bytes().first() {
                Some(b'0'..=b'~') => &final_byte[1..],
                _ => rest,
            }
        }
        _ => rest,
    }
}

/// What follows parameters, intermediates and final byte of a control sequence; all of `rest` when it is none.
fn after_control_sequence(rest: &str) -> &str {
    let tail =
        rest.trim_start_matches(|c| matches!(c, '0'..='?')).trim_start_matches(|c| matches!(c, ' '..='/'));
    match tail.as_bytes().first() {
        Some(b'@'..=b'~') => &tail[1..],
        _ => rest,
    }
}

/// What follows a string sequence, which BEL or ST ends; all of `rest` when it does not end soon.
fn after_string(rest: &str) -> &str {
    let end = rest
        .char_indices()
        .take(SEQUENCE_CHARS_MAX)
        .find(|(_, c)| matches!(c, '\u{7}' | '\u{9c}' | '\u{1b}'));
    match end {
        Some((place, '\u{1b}')) if rest[place + 1..].starts_with('\\') => &rest[place + 2..],
        Some((_, '\u{1b}')) | None => rest,
        Some((place, c)) => &rest[place + c.len_utf8()..],
    }
}

/// Characters that show nothing, or that turn around what is shown. Variation selectors are among them.
fn is_invisible(c: char) -> bool {
    matches!(c,
        '\0'..='\u{8}' | '\u{b}'..='\u{1f}' | '\u{7f}'..='\u{9f}' | '\u{ad}' | '\u{34f}' | '\u{61c}'
        | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}'
        | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}'
        | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
        | '\u{e0000}'..='\u{e0fff}')
}

/// What a variation selector may follow: symbols that are shown as text or as a picture.
fn is_symbol(c: char) -> bool {
    let in_range = matches!(c, '©' | '®' | '\u{203c}' | '\u{2049}' | '\u{2100}'..='\u{2bff}' | '\u{3030}' | '\u{303d}'
        | '\u{3297}' | '\u{3299}' | '\u{1f000}'..='\u{1faff}');
    // A letter or digit may yet be masked, which would leave its selector alone.
    in_range && !c.is_alphanumeric()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_out_what_nobody_sees() {
        let check = |text: &str, expected: &str| assert_eq!(strip(text), expected, "{text:?}");
        check("", "");
        check("Grüße,\n\tAnna", "Grüße,\n\tAnna");
        check("a\r\nb\rc\u{2028}d", "a\nb\nc\nd");
        check("a\0b\u{7f}c\u{85}d", "abcd");
        check("\u{1b}[1;31mred\u{1b}[0m", "red");
        check("\u{1b}]0;title\u{7}x\u{1b}]8;;http://a\u{1b}\\y\u{9d}z\u{9c}", "xy");
        check("\u{9b}31mred\u{1b}(Bx\u{1b}", "redx");
        check("\u{1b}[\u{1b}[31mx", "x");
        check("\u{1b}]no end", "no end");
        check("\u{202e}abc\u{202c} \u{2066}x\u{2069} \u{200f}\u{61c}y", "abc x y");
        check("pass\u{200b}wo\u{ad}rd\u{feff}\u{2060}", "password");
        check("hi\u{e0049}\u{e0067}\u{e006e}\u{e007f}", "hi");
        check("❤\u{fe0f} a\u{fe0f} ❤\u{fe0f}\u{fe0f}\u{fe00} x\u{e0100}\u{e0101}", "❤\u{fe0f} a ❤\u{fe0f} x");
        check("👩\u{200d}🚀", "👩🚀");
    }

    #[test]
    fn a_flood_of_open_sequences_is_done_in_time() {
        let flood = "\u{1b}]".repeat(50_000);
        assert_eq!(strip(&flood), "");
        assert_eq!(strip(&"\u{9d}".repeat(50_000)), "");
    }

    #[test]
    fn borrows_what_is_clean() {
        let check = |text: &str| assert!(matches!(strip(text), Cow::Borrowed(_)), "{text}");
        check("Where is my order #1042?");
        check("Größe 38½ — ok ✓");
    }
}
