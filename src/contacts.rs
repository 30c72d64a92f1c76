//! Finds e-mail addresses and phone numbers in a text. What is found is what is written as one; an order number, a date or a
//! price is left alone, and so is a number without the grouping or the prefix of a phone number.

use std::borrow::Cow;

/// What was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Contact {
    /// An e-mail address.
    Email,
    /// A phone number.
    Phone,
}

/// `text` with what `mask` gives for each contact in its place. Borrows when there are none.
pub fn replace<'t>(text: &'t str, mut mask: impl FnMut(Contact, &str) -> Cow<'static, str>) -> Cow<'t, str> {
    match emails(text, &mut mask) {
        Cow::Borrowed(text) => phones(text, &mut mask),
        Cow::Owned(text) => match phones(&text, &mut mask) {
            Cow::Borrowed(_) => Cow::Owned(text),
            Cow::Owned(masked) => Cow::Owned(masked),
        },
    }
}

type Mask<'m> = &'m mut dyn FnMut(Contact, &str) -> Cow<'static, str>;

/// Characters before an at sign that are looked at: the standard allows 64 (RFC 5321, section 4.5.3.1.1).
const LOCAL_CHARS_MAX: usize = 256;

fn emails<'t>(text: &'t str, mask: Mask<'_>) -> Cow<'t, str> {
    let mut out = Output::new(text);
    for (place, at) in ats(text) {
        if place < out.copied {
            continue;
        }
        let before = text[out.copied..place].char_indices().rev().take(LOCAL_CHARS_MAX);
        let is_part = |(_, c): &(usize, char)| is_local(*c);
        // What is quoted is no part of it.
        let local = before.take_while(is_part).filter(|(_, c)| *c != '\'').last();
        let domain = domain_bytes(&text[place + at..]);
        if let Some((local, _)) = local
            && domain > 0
        {
            out.mask(out.copied + local, place + at + domain, Contact::Email, mask);
        }
    }
    out.finish()
}

/// Where an at sign stands and how many bytes it has: plain, in a URL, or in the forms of other scripts.
fn ats(text: &str) -> impl Iterator<Item = (usize, usize)> {
    let plain = |byte: u8| matches!(byte, b'@' | b'%') || byte >= 0xef;
    text.bytes().enumerate().filter(move |(_, byte)| plain(*byte)).filter_map(|(place, _)| {
        let rest = text.get(place..)?;
        ["@", "%40", "＠", "﹫"].iter().find(|at| rest.starts_with(**at)).map(|at| (place, at.len()))
    })
}

fn is_local(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '.' | '_' | '%' | '+' | '-' | '\'')
}

/// The bytes of the domain name that `text` begins with: two labels or more, the last one of two characters or more, a
/// letter first, which a release (`react@18.3.0-rc.1`) has not. 0 when it does not begin with one.
fn domain_bytes(text: &str) -> usize {
    let (mut end, mut bytes) = (0, 0);
    for (place, label) in text
        .split(|c: char| !(c.is_alphanumeric() || c == '-' || c == '.'))
        .next()
        .unwrap_or("")
        .split('.')
        .enumerate()
    {
        if label.is_empty() {
            break;
        }
        end += label.len() + usize::from(place > 0);
        if place > 0 && label.chars().nth(1).is_some() && label.starts_with(char::is_alphabetic) {
            bytes = end;
        }
    }
    bytes
}

fn phones<'t>(text: &'t str, mask: Mask<'_>) -> Cow<'t, str> {
    if text.is_ascii() && text.bytes().filter(u8::is_ascii_digit).count() < DIGITS_MIN {
        return Cow::Borrowed(text);
    }
    let mut out = Output::new(text);
    let mut place = 0;
    while let Some(run) = Run::next(text, place) {
        place = run.end();
        let mut first = 0;
        while first < run.groups.len() {
            if run.is_date(first) {
                first += 3;
            } else if let Some(after) = run.phone(first, &out) {
                out.mask(run.start(first), run.groups[after - 1].end, Contact::Phone, mask);
                first = after;
            } else {
                first += 1;
            }
        }
    }
    out.finish()
}

/// Digits of a phone number at least, and at most (ITU-T E.164; two more for an international prefix).
const DIGITS_MIN: usize = 8;
const DIGITS_MAX: usize = 17;
/// Digits of an area code in parentheses at most.
const AREA_DIGITS_MAX: usize = 5;
/// Characters between two groups of one number at most, as in `) - `.
const SEPARATOR_CHARS_MAX: usize = 3;

/// Groups of digits with no more between them than the separators of a phone number.
struct Run<'a> {
    text: &'a str,
    groups: Vec<Group>,
    /// Their digits, one after the other.
    digits: Vec<u8>,
    /// Where the `+` before the first group stands.
    plus: Option<usize>,
}

struct Group {
    start: usize,
    end: usize,
    /// Its first digit's place among the digits of the run.
    first: usize,
    len: usize,
}

impl<'a> Run<'a> {
    /// The next run at or after `from`.
    fn next(text: &'a str, from: usize) -> Option<Run<'a>> {
        let start = from + text[from..].find(|c| digit(c).is_some())?;
        let before = text[from..start].trim_end_matches('(');
        let plus = before.strip_suffix(['+', '＋']).map(|rest| from + rest.len());
        let mut run = Run { text, groups: Vec::new(), digits: Vec::new(), plus };
        let mut next = Some(start);
        while let Some(start) = next {
            let end = run.push(start);
            let between = text[end..].chars().take_while(|c| is_separator(*c)).take(SEPARATOR_CHARS_MAX);
            let after = end + between.map(char::len_utf8).sum::<usize>();
            next = text[after..].chars().next().and_then(digit).map(|_| after);
        }
        Some(run)
    }

    /// Takes the group that begins at `start`; where it ends.
    fn push(&mut self, start: usize) -> usize {
        let first = self.digits.len();
        let mut end = start;
        for c in self.text[start..].chars() {
            let Some(digit) = digit(c) else { break };
            self.digits.push(digit);
            end += c.len_utf8();
        }
        self.groups.push(Group { start, end, first, len: self.digits.len() - first });
        end
    }

    fn end(&self) -> usize {
        self.groups.last().map_or(self.text.len(), |group| group.end)
    }

    /// Where a number that begins with group `first` begins: at its plus or parenthesis if it has one.
    fn start(&self, first: usize) -> usize {
        let start = self.groups[first].start;
        match self.plus {
            Some(plus) if first == 0 => plus,
            _ if self.in_parentheses(first) => start - 1,
            _ => start,
        }
    }

    fn in_parentheses(&self, group: usize) -> bool {
        let Group { start, end, len, .. } = self.groups[group];
        len <= AREA_DIGITS_MAX && self.text[..start].ends_with('(') && self.text[end..].starts_with(')')
    }

    fn digits(&self, first: usize, after: usize) -> &[u8] {
        let Group { first: last, len, .. } = self.groups[after - 1];
        &self.digits[self.groups[first].first..last + len]
    }

    fn separator(&self, group: usize) -> &str {
        self.groups.get(group + 1).map_or("", |next| &self.text[self.groups[group].end..next.start])
    }

    /// Whether a calendar date begins with group `first`: `2026-11-22`, `22.11.2026`, `11/22/2026`.
    fn is_date(&self, first: usize) -> bool {
        let Some([a, b, c]) = self.groups.get(first..first + 3) else { return false };
        let is_year = |group: &Group| {
            group.len == 4 && matches!(&self.digits[group.first..group.first + 2], [1, 9] | [2, 0])
        };
        let short = |group: &Group| group.len <= 2;
        let separator = self.separator(first);
        matches!(separator, "-" | "/" | "." | ". ")
            && separator == self.separator(first + 1)
            && !(first == 0 && self.plus.is_some())
            && (is_year(a) && short(b) && short(c) || short(a) && short(b) && is_year(c))
    }

    /// The group after the longest phone number that begins with group `first`.
    fn phone(&self, first: usize, out: &Output<'_>) -> Option<usize> {
        let plus = first == 0 && self.plus.is_some();
        if !may_begin(out, self.start(first), plus) {
            return None;
        }
        let short_enough = |after: &usize| self.digits(first, *after).len() <= DIGITS_MAX;
        let longest = (first + 1..=self.groups.len()).take_while(short_enough).last()?;
        let lens: Vec<usize> = self.groups[first..longest].iter().map(|group| group.len).collect();
        (first + 1..=longest)
            .rev()
            .find(|after| self.is_phone(first, &lens[..after - first], plus) && self.may_end(*after, plus))
    }

    /// Whether the groups from `first` on, of these lengths, are written as a phone number.
    fn is_phone(&self, first: usize, lens: &[usize], plus: bool) -> bool {
        let after = first + lens.len();
        let digits = self.digits(first, after);
        let same = |separator: &str| (first..after - 1).all(|group| self.separator(group) == separator);
        let alike = after == first + 1 || same(self.separator(first));
        match (digits, lens) {
            _ if plus => (DIGITS_MIN..=15).contains(&digits.len()),
            _ if digits.len() < DIGITS_MIN => false,
            ([0, 0, 1..=9, ..], [2..=5, _, ..]) => digits.len() >= 10,
            ([0, 0, 1..=9, ..], [11..=17]) => true,
            _ if self.in_parentheses(first) => lens.len() > 1 && (9..=13).contains(&digits.len()),
            // North America; Spain, Poland and others; China.
            ([2..=9, ..], [3, 3, 4]) | ([1, 2..=9, ..], [1, 3, 3, 4]) | ([1, ..], [3, 4, 4]) => true,
            ([5..=9, ..], [3, 3, 3]) => same(" ") || same("\u{a0}"),
            // With the trunk prefix of most of the world; in pairs, as in France; or in one piece.
            ([0, 1..=9, ..], [2, 2, 2, 2, 2]) => alike,
            ([0, 1..=9, ..], [2..=6, _, ..]) => {
                (9..=12).contains(&digits.len()) && lens.len() <= 5 && lens.iter().any(|len| *len > 2)
            }
            ([0, 1..=9, ..], [10 | 11]) => true,
            _ => false,
        }
    }

    /// Whether a number may end before group `after`: not in the middle of a code.
    fn may_end(&self, after: usize, plus: bool) -> bool {
        if after < self.groups.len() {
            return plus || !self.separator(after - 1).starts_with(['-', '.', '/']);
        }
        let next = self.text[self.end()..].chars().next();
        plus || !next.is_some_and(|c| c.is_alphanumeric() || matches!(c, '_' | '%' | '€'))
    }
}

/// Whether a number may begin at `start`, by what stands before it in what is already shown.
fn may_begin(out: &Output<'_>, start: usize, plus: bool) -> bool {
    let mut before = out.before(start);
    let (last, other) = (before.next(), before.next());
    let after_digit = last.is_some_and(|c| digit(c).is_some());
    if plus {
        return !after_digit;
    }
    match last {
        Some('.') => other.is_none_or(|c| digit(c).is_none()),
        Some('-' | '/' | '‐' | '‑') => !other.is_some_and(char::is_alphanumeric),
        // In the middle of a time of day, with parts of its last second.
        Some(':') => other.is_none_or(|c| digit(c).is_none()),
        Some('#' | '_' | '+' | '＋' | '$' | '€' | '£' | '¥') => false,
        Some(c) => !c.is_alphanumeric(),
        None => true,
    }
}

fn is_separator(c: char) -> bool {
    matches!(c, ' ' | '\u{a0}' | '\u{202f}' | '-' | '‐' | '‑' | '–' | '.' | '/' | '(' | ')')
}

/// The value of a decimal digit: of ASCII, full width, Arabic or Persian.
fn digit(c: char) -> Option<u8> {
    let zero = match c {
        '0'..='9' => '0',
        '０'..='９' => '０',
        '\u{660}'..='\u{669}' => '\u{660}',
        '\u{6f0}'..='\u{6f9}' => '\u{6f0}',
        _ => return None,
    };
    u8::try_from(u32::from(c) - u32::from(zero)).ok()
}

/// A text on its way out: what is copied so far, with masks.
struct Output<'a> {
    text: &'a str,
    out: String,
    copied: usize,
}

impl<'a> Output<'a> {
    fn new(text: &'a str) -> Output<'a> {
        Output { text, out: String::new(), copied: 0 }
    }

    fn mask(&mut self, start: usize, end: usize, kind: Contact, mask: Mask<'_>) {
        self.out.push_str(&self.text[self.copied..start]);
        self.out.push_str(&mask(kind, &self.text[start..end]));
        self.copied = end;
    }

    /// The characters before `start` as they will be shown, last first.
    fn before(&self, start: usize) -> impl Iterator<Item = char> {
        self.text[self.copied..start].chars().rev().chain(self.out.chars().rev())
    }

    fn finish(mut self) -> Cow<'a, str> {
        if self.copied == 0 {
            return Cow::Borrowed(self.text);
        }
        self.out.push_str(&self.text[self.copied..]);
        Cow::Owned(self.out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn redact(text: &str) -> Cow<'_, str> {
        replace(text, |contact, _| match contact {
            Contact::Email => "[EMAIL]".into(),
            Contact::Phone => "[PHONE]".into(),
        })
    }

    #[test]
    fn masks_addresses() {
        let check = |text: &str, expected: &str| assert_eq!(redact(text), expected, "{text}");
        check("write to anna@example.com.", "write to [EMAIL].");
        check("anna.b+shop@mail.example.co.uk, ok", "[EMAIL], ok");
        check("<mailto:anna@example.com>", "<mailto:[EMAIL]>");
        check("müller@bücher.de", "[EMAIL]");
        check(
            "https://shop.example/?email=anna%40example.com&x=1",
            "https://shop.example/?email=[EMAIL]&x=1",
        );
        check("a@b.de@c.de a@b..de", "[EMAIL]@c.de a@b..de");
        check("anna＠example.com", "[EMAIL]");
        check("a@b.co.1", "[EMAIL].1");
        check("{'mail': 'anna@example.com'}", "{'mail': '[EMAIL]'}");
        check("o'neill@example.com", "[EMAIL]");
        check("react@18.3.0-rc.1, a@4.17.21-beta", "react@18.3.0-rc.1, a@4.17.21-beta");
        check("@anna, 5 @ 10.50, a@localhost, @example.com", "@anna, 5 @ 10.50, a@localhost, @example.com");
    }

    #[test]
    fn masks_phone_numbers() {
        let check = |text: &str, expected: &str| assert_eq!(redact(text), expected, "{text}");
        for number in [
            "+49 30 1234567",
            "+49 (0)30 / 123 45 67",
            "+14155552671",
            "+(44) 20 7946 0958",
            "0049 30 1234567",
            "00491711234567",
            "(212) 555-1234",
            "212-555-1234",
            "212.555.1234",
            "1-800-555-1234",
            "0171 1234567",
            "030/1234567",
            "01711234567",
            "0612345678",
            "06 12 34 56 78",
            "06.12.34.56.78",
            "07700 900123",
            "020 7946 0958",
            "612 345 678",
            "138 1234 5678",
            "010-1234-5678",
            "+٤٩ ٣٠ ١٢٣٤٥٦٧",
        ] {
            check(number, "[PHONE]");
            check(&format!("call me: {number}, thanks"), "call me: [PHONE], thanks");
            check(&format!("({number})"), "([PHONE])");
        }
        check("Tel.0171 1234567", "Tel.[PHONE]");
        check("Tel:0171 1234567", "Tel:[PHONE]");
        check("0171 1234567 or 030 7654321", "[PHONE] or [PHONE]");
        check("2 pairs, 0171 1234567", "2 pairs, [PHONE]");
        check("size 42 0171 1234567", "size 42 [PHONE]");
    }

    #[test]
    fn leaves_other_numbers_alone() {
        for text in [
            "order 1042",
            "order #100234567",
            "order 4500012345678",
            "#0171 1234567",
            "2026-11-22",
            "22.11.2026 14.30",
            "01.02.2026 12:30",
            "11/22/2026",
            "2026-11-22 08:00:00",
            "2026-11-22 08:00:00.123456789 UTC",
            "08:00:05.1234567",
            "€ 1.234.567,89",
            "1 234 567 890",
            "$212-555-1234",
            "192.168.100.200",
            "4111 1111 1111 1111",
            "SKU AB-0171-1234567",
            "EAN 4006381333931",
            "UPC 012345678905",
            "SKU-100-200-3000",
            "100-200-3000",
            "09.00-18.00 10.00-16.00",
            "0.123456789",
            "https://shop.example/p/0171-1234567",
            "0000123456",
            "20261122",
            "1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11",
            "tracking 1Z999AA10123456784",
            "212-555-1234-9999",
            "+1",
        ] {
            assert_eq!(redact(text), text);
        }
    }

    #[test]
    fn a_long_text_of_near_misses_is_done_in_time() {
        for piece in ["a%40", "a@", "1 ", "0171 ", "(1) ", "+1 ", "0-"] {
            assert!(redact(&piece.repeat(20_000)).len() <= 140_000);
        }
    }
}
