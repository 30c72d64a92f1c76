//! From text to the terms it is found by: words in lower case without accents and plural endings, and trigrams.
//!
//! What is indexed and what is asked for both come through here, so that they meet.

use unicode_normalization::UnicodeNormalization as _;
use unicode_normalization::char::is_combining_mark;

/// Characters of a word that are kept; the rest is cut.
pub const WORD_CHARS_MAX: usize = 40;

/// The words of `text` in order: NFKD, lower case, accents dropped, `ß` as `ss` and the like, English plural endings
/// taken off. Apostrophes join (`men's` is `men`), all else that is no letter or digit separates. Chinese and Japanese
/// are cut into pairs of characters, for they have no spaces.
pub fn words(text: &str) -> Vec<String> {
    let mut cutter = Cutter::default();
    if text.is_ascii() {
        text.chars().for_each(|c| cutter.take(c.to_ascii_lowercase()));
    } else {
        text.nfkd().filter(|c| !is_accent(*c)).flat_map(char::to_lowercase).for_each(|c| cutter.take(c));
    }
    cutter.end_word();
    cutter.words
}

/// `text` with its letters and digits alone, folded as [`words`] folds them and not cut: for SKUs.
pub fn squeezed(text: &str) -> String {
    let mut cutter = Cutter::default();
    let letters = text.nfkd().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase);
    letters.take(WORD_CHARS_MAX).for_each(|c| cutter.append(c));
    cutter.word
}

/// Every three characters of `word` in a row, its beginning and end marked with `^` and `$`, each once.
pub fn trigrams(word: &str) -> Vec<String> {
    let chars: Vec<char> = std::iter::once('^').chain(word.chars()).chain(std::iter::once('$')).collect();
    let mut found: Vec<String> = chars.windows(3).map(|three| three.iter().collect()).collect();
    found.sort_unstable();
    found.dedup();
    found
}

/// Whether `word`, as [`words`] gives it, is too common to search for: English first, then what the most common
/// languages of Europe use alike.
pub fn is_stop_word(word: &str) -> bool {
    STOP_WORDS.binary_search(&word).is_ok()
}

/// Sorted; in the form that [`words`] gives (`has` is `ha`).
#[rustfmt::skip]
const STOP_WORDS: &[&str] = &[
    "a", "about", "all", "also", "am", "an", "and", "any", "are", "as", "at", "be", "but", "by", "can",
    "could", "das", "de", "der", "die", "do", "doe", "dont", "du", "ein", "eine", "el", "en", "et", "for",
    "from", "fur", "get", "give", "ha", "had", "have", "he", "her", "his", "how", "i", "if", "im", "in",
    "into", "is", "it", "its", "la", "le", "les", "like", "los", "me", "mit", "my", "need", "no", "not",
    "of", "on", "or", "our", "out", "para", "please", "por", "pour", "she", "should", "show", "so",
    "some", "something", "than", "that", "the", "their", "them", "there", "they", "this", "to", "un",
    "una", "und", "une", "up", "us", "von", "want", "was", "we", "what", "when", "where", "which", "who",
    "will", "with", "would", "y", "you", "your",
];

#[derive(Default)]
struct Cutter {
    words: Vec<String>,
    word: String,
    chars: usize,
    /// The ideograph before, which makes a pair with the next.
    before: Option<char>,
}

impl Cutter {
    fn take(&mut self, c: char) {
        if is_ideograph(c) {
            self.take_ideograph(c);
        } else if c.is_alphanumeric() || (is_combining_mark(c) && self.chars > 0) {
            self.end_ideographs();
            self.append(c);
        } else if !matches!(c, '\'' | '’') {
            self.end_word();
        }
    }

    fn append(&mut self, c: char) {
        self.chars += 1;
        if self.chars > WORD_CHARS_MAX {
            return;
        }
        match c {
            'ß' => self.word.push_str("ss"),
            'æ' => self.word.push_str("ae"),
            'œ' => self.word.push_str("oe"),
            'þ' => self.word.push_str("th"),
            'ø' => self.word.push('o'),
            'ł' => self.word.push('l'),
            'đ' | 'ð' => self.word.push('d'),
            'ı' => self.word.push('i'),
            'ς' => self.word.push('σ'),
            _ => self.word.push(c),
        }
    }

    fn take_ideograph(&mut self, c: char) {
        self.end_letters();
        match self.before {
            Some(before) => self.words.push([before, c].iter().collect()),
            // Kept alone as well: it may be all of the word.
            None => self.words.push(c.to_string()),
        }
        self.before = Some(c);
    }

    fn end_word(&mut self) {
        self.end_ideographs();
        self.end_letters();
    }

    fn end_ideographs(&mut self) {
        self.before = None;
    }

    fn end_letters(&mut self) {
        if self.chars > 0 {
            let mut word = std::mem::take(&mut self.word);
            drop_plural(&mut word);
            self.words.push(word);
            self.chars = 0;
        }
    }
}

/// Takes an English plural's ending off. Other languages lose a final `s` in text and query alike, so they still meet.
fn drop_plural(word: &mut String) {
    if word.len() < 4 || !word.ends_with('s') || !word.bytes().all(|b| b.is_ascii_lowercase()) {
        return;
    }
    let ends = |ending: &str| word.ends_with(ending);
    if ends("ss") || ends("us") || ends("is") {
        return;
    }
    if ends("ies") && word.len() > 4 {
        word.truncate(word.len() - 3);
        word.push('y');
    } else if ["sses", "shes", "ches", "xes"].iter().any(|ending| ends(ending)) {
        word.truncate(word.len() - 2);
    } else {
        word.truncate(word.len() - 1);
    }
}

fn is_accent(c: char) -> bool {
    matches!(c, '\u{300}'..='\u{36f}')
}

fn is_ideograph(c: char) -> bool {
    matches!(c, '\u{3040}'..='\u{30ff}' | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{20000}'..='\u{2fa1f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cuts_and_folds() {
        let check = |text: &str, expected: &[&str]| assert_eq!(words(text), expected, "{text}");
        check("", &[]);
        check(" \"*( NEAR ", &["near"]);
        check("Café Crème — ŁÓDŹ", &["cafe", "creme", "lodz"]);
        check("Straße, Smørrebrød, İstanbul", &["strasse", "smorrebrod", "istanbul"]);
        check("Men's T-Shirts & dresses (accessories)", &["men", "t", "shirt", "dress", "accessory"]);
        check("glass bus tennis gas", &["glass", "bus", "tennis", "gas"]);
        check("ＷＩＤＥ ﬁre", &["wide", "fire"]);
        check("赤いAir靴", &["赤", "赤い", "air", "靴"]);
        check("кроссовки Ёлка", &["кроссовки", "елка"]);
        check("हिन्दी", &["हिन्दी"]);
    }

    #[test]
    fn a_long_word_is_cut() {
        assert_eq!(words(&"x".repeat(100_000)), ["x".repeat(WORD_CHARS_MAX)]);
    }

    #[test]
    fn trigrams_mark_both_ends() {
        let check = |word: &str, expected: &[&str]| assert_eq!(trigrams(word), expected, "{word}");
        check("shoe", &["^sh", "hoe", "oe$", "sho"]);
        check("a", &["^a$"]);
        check("", &[]);
        assert_eq!(squeezed("SNK-001/É"), "snk001e");
    }

    #[test]
    fn stop_words_are_sorted_and_as_words_gives_them() {
        assert!(STOP_WORDS.is_sorted(), "{STOP_WORDS:?}");
        for word in STOP_WORDS {
            assert_eq!(words(word), [*word]);
        }
    }
}
