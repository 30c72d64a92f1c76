//! The language a chatbot answers in: `automatic`, or a BCP 47 tag (RFC 5646) in its canonical case.

/// The word for "the language of each visitor".
pub const AUTOMATIC: &str = "automatic";

/// The longest tag, in bytes; RFC 5646, section 4.4.1 asks for at least 35.
pub const TAG_BYTES_MAX: usize = 63;

/// `text` as a chatbot keeps it: `automatic`, or a well-formed tag with the language in lower case, the script in title
/// case and the region in upper case (RFC 5646, sections 2.1 and 2.1.1).
///
/// `None` for what is no such tag; also for languages of four to eight letters, of which none is registered (people
/// write "English" there), and for tags that name no language (`x-…`, the grandfathered ones).
pub fn canonical(text: &str) -> Option<String> {
    let text = text.trim();
    if text.eq_ignore_ascii_case(AUTOMATIC) {
        return Some(AUTOMATIC.to_owned());
    }
    if text.len() > TAG_BYTES_MAX {
        return None;
    }
    let lower = text.to_ascii_lowercase();
    let mut tag = Tag { subtags: lower.split('-').collect(), at: 0, out: Vec::new() };
    tag.language()?;
    tag.variants()?;
    tag.extensions()?;
    tag.private_use()?;
    (tag.at == tag.subtags.len()).then(|| tag.out.join("-"))
}

/// A tag being read, subtag by subtag.
struct Tag<'a> {
    subtags: Vec<&'a str>,
    at: usize,
    out: Vec<String>,
}

impl<'a> Tag<'a> {
    /// `langtag`'s beginning: language, up to three extended languages, script, region.
    fn language(&mut self) -> Option<()> {
        self.take(|subtag| alpha(subtag, 2..=3), str::to_owned)?;
        for _ in 0..3 {
            self.take(|subtag| alpha(subtag, 3..=3), str::to_owned);
        }
        self.take(|subtag| alpha(subtag, 4..=4), title);
        self.take(|subtag| alpha(subtag, 2..=2) || digits(subtag, 3), str::to_ascii_uppercase);
        Some(())
    }

    /// Variants, each at most once (section 2.2.5).
    fn variants(&mut self) -> Option<()> {
        let from = self.out.len();
        while let Some(variant) = self.take(is_variant, str::to_owned) {
            let before = &self.out[from..self.out.len() - 1];
            if before.iter().any(|earlier| earlier == variant) {
                return None;
            }
        }
        Some(())
    }

    /// Extensions: a singleton, each at most once (section 2.2.6), and its subtags.
    fn extensions(&mut self) -> Option<()> {
        let mut seen = Vec::new();
        while let Some(singleton) = self.take(|s| alphanumeric(s, 1..=1) && s != "x", str::to_owned) {
            if seen.contains(&singleton) {
                return None;
            }
            seen.push(singleton);
            self.take(|subtag| alphanumeric(subtag, 2..=8), str::to_owned)?;
            while self.take(|subtag| alphanumeric(subtag, 2..=8), str::to_owned).is_some() {}
        }
        Some(())
    }

    fn private_use(&mut self) -> Option<()> {
        if self.take(|subtag| subtag == "x", str::to_owned).is_some() {
            self.take(|subtag| alphanumeric(subtag, 1..=8), str::to_owned)?;
            while self.take(|subtag| alphanumeric(subtag, 1..=8), str::to_owned).is_some() {}
        }
        Some(())
    }

    /// Takes the next subtag if it `fits`, and writes it as `written` says.
    fn take(&mut self, fits: impl Fn(&str) -> bool, written: impl Fn(&str) -> String) -> Option<&'a str> {
        let subtag = *self.subtags.get(self.at).filter(|subtag| fits(subtag))?;
        self.at += 1;
        self.out.push(written(subtag));
        Some(subtag)
    }
}

fn alpha(subtag: &str, length: std::ops::RangeInclusive<usize>) -> bool {
    length.contains(&subtag.len()) && subtag.bytes().all(|byte| byte.is_ascii_alphabetic())
}

fn alphanumeric(subtag: &str, length: std::ops::RangeInclusive<usize>) -> bool {
    length.contains(&subtag.len()) && subtag.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

fn digits(subtag: &str, length: usize) -> bool {
    subtag.len() == length && subtag.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_variant(subtag: &str) -> bool {
    let starts_with_digit = subtag.as_bytes().first().is_some_and(u8::is_ascii_digit);
    alphanumeric(subtag, 5..=8) || (starts_with_digit && alphanumeric(subtag, 4..=4))
}

fn title(subtag: &str) -> String {
    let (first, rest) = subtag.split_at(1);
    first.to_ascii_uppercase() + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_tags_in_their_canonical_case() {
        let check =
            |text: &str, expected: &str| assert_eq!(canonical(text).as_deref(), Some(expected), "{text}");
        check("automatic", "automatic");
        check(" Automatic ", "automatic");
        check("de", "de");
        check("EN-us", "en-US");
        check("pt-br", "pt-BR");
        check("ZH-HANT-tw", "zh-Hant-TW");
        check("es-419", "es-419");
        check("sl-ROZAJ-biske-1994", "sl-rozaj-biske-1994");
        check("de-CH-1996", "de-CH-1996");
        check("zh-cmn-hans-cn", "zh-cmn-Hans-CN");
        check("en-US-u-CA-Gregory-x-US", "en-US-u-ca-gregory-x-us");
        check("fil", "fil");
    }

    #[test]
    fn refuses_what_is_no_tag() {
        let check = |text: &str| assert_eq!(canonical(text), None, "{text}");
        check("");
        check("e");
        check("English");
        check("auto");
        check("en_US");
        check("en-");
        check("-en");
        check("en--US");
        check("en-US-GB");
        check("de-1996-1996");
        check("en-u");
        check("en-u-ca-u-nu");
        check("en-x");
        check("x-klingon");
        check("i-klingon");
        check("dé");
        check("en US");
        check(&format!("en-x{}", "-aaaaaaaa".repeat(7)));
    }
}
