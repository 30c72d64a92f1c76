//! HTML to plain text, for descriptions: tags dropped, character references decoded, blocks on lines of their own.
//!
//! No parser of the whole language: what shops write into descriptions is text with some tags. Nothing it gives out is
//! ever shown as HTML.

/// The text of `html`. What has no tags keeps its line breaks.
pub fn text(html: &str) -> String {
    let mut text = Text { keep_breaks: !html.contains('<'), ..Text::default() };
    let mut rest = html;
    while let Some(place) = rest.find('<') {
        text.push(&rest[..place]);
        rest = match Tag::read(&rest[place..]) {
            Some((tag, after)) => text.tag(&tag, after),
            None => {
                text.push("<");
                &rest[place + 1..]
            }
        };
    }
    text.push(rest);
    text.done
}

/// Elements that stand on lines of their own.
#[rustfmt::skip]
const BLOCKS: &[&str] = &[
    "address", "article", "aside", "blockquote", "br", "caption", "center", "dd", "details", "div", "dl",
    "dt", "figcaption", "figure", "footer", "form", "h1", "h2", "h3", "h4", "h5", "h6", "header", "hr", "li",
    "main", "nav", "ol", "p", "pre", "section", "summary", "table", "tbody", "tfoot", "thead", "tr", "ul",
];
/// Elements whose content is no text.
const HIDDEN: &[&str] = &["script", "style", "template", "noscript", "svg", "iframe", "object", "head"];

struct Tag {
    name: String,
    closing: bool,
}

impl Tag {
    /// The tag or comment that `html` begins with, and what comes after; `None` when it is but a `<`. A comment has no
    /// name.
    fn read(html: &str) -> Option<(Tag, &str)> {
        if let Some(comment) = html.strip_prefix("<!--") {
            let after = comment.find("-->").map_or("", |end| &comment[end + 3..]);
            return Some((Tag { name: String::new(), closing: false }, after));
        }
        let inner = &html[1..];
        let closing = inner.starts_with('/');
        let named = inner.trim_start_matches(['/', '!', '?']);
        if !named.starts_with(|c: char| c.is_ascii_alphabetic()) {
            return None;
        }
        let end = named.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(named.len());
        let name =
            if inner.starts_with(['!', '?']) { String::new() } else { named[..end].to_ascii_lowercase() };
        Some((Tag { name, closing }, after_attributes(&named[end..])))
    }
}

/// What comes after the `>` that ends a tag: one within quotes does not. A tag that never ends takes all the rest.
fn after_attributes(html: &str) -> &str {
    let mut quote = None;
    for (place, byte) in html.bytes().enumerate() {
        match (quote, byte) {
            (None, b'>') => return &html[place + 1..],
            (None, b'"' | b'\'') => quote = Some(byte),
            (Some(open), _) if open == byte => quote = None,
            _ => {}
        }
    }
    // A stray quote; any `>` will do.
    html.find('>').map_or("", |place| &html[place + 1..])
}

#[derive(Default)]
struct Text {
    done: String,
    keep_breaks: bool,
    // What is due before the next character.
    space: bool,
    line: bool,
    bullet: bool,
}

impl Text {
    /// Adds text with its references decoded and its space collapsed.
    fn push(&mut self, html: &str) {
        let decoded = decode(html);
        for c in decoded.chars() {
            if c == '\n' && self.keep_breaks {
                self.line = true;
            } else if c.is_whitespace() {
                self.space = true;
            } else if !c.is_control() {
                self.push_break();
                self.done.push(c);
            }
        }
    }

    /// Writes what is due: a break between text, the bullet of a list's item.
    fn push_break(&mut self) {
        if !self.done.is_empty() && (self.line || self.space) {
            self.done.push(if self.line { '\n' } else { ' ' });
        }
        if self.bullet {
            self.done.push_str("- ");
        }
        (self.line, self.space, self.bullet) = (false, false, false);
    }

    /// Heeds a tag; what is to be read on.
    fn tag<'a>(&mut self, tag: &Tag, after: &'a str) -> &'a str {
        let name = tag.name.as_str();
        self.line |= BLOCKS.contains(&name);
        self.space |= matches!(name, "td" | "th" | "img" | "option");
        self.bullet |= name == "li" && !tag.closing;
        if !tag.closing && HIDDEN.contains(&name) { after_element(after, name) } else { after }
    }
}

/// What comes after the end of the element that is open; all the rest is in it if it has none.
fn after_element<'a>(html: &'a str, name: &str) -> &'a str {
    let mut rest = html;
    while let Some(place) = rest.find("</") {
        rest = &rest[place + 2..];
        let end =
            rest.as_bytes().get(..name.len()).is_some_and(|end| end.eq_ignore_ascii_case(name.as_bytes()));
        if end {
            return rest.find('>').map_or("", |close| &rest[close + 1..]);
        }
    }
    ""
}

/// Named references that descriptions have (HTML Living Standard, section 13.5); most shops write the characters.
#[rustfmt::skip]
const NAMED: &[(&str, char)] = &[
    ("amp", '&'), ("lt", '<'), ("gt", '>'), ("quot", '"'), ("apos", '\''), ("nbsp", ' '), ("ensp", ' '),
    ("emsp", ' '), ("thinsp", ' '), ("shy", '\u{ad}'), ("ndash", '–'), ("mdash", '—'), ("hellip", '…'),
    ("lsquo", '‘'), ("rsquo", '’'), ("sbquo", '‚'), ("ldquo", '“'), ("rdquo", '”'), ("bdquo", '„'),
    ("laquo", '«'), ("raquo", '»'), ("bull", '•'), ("middot", '·'), ("copy", '©'), ("reg", '®'),
    ("trade", '™'), ("deg", '°'), ("micro", 'µ'), ("para", '¶'), ("sect", '§'), ("euro", '€'), ("pound", '£'),
    ("yen", '¥'), ("cent", '¢'), ("times", '×'), ("divide", '÷'), ("plusmn", '±'), ("frac12", '½'),
    ("frac14", '¼'), ("frac34", '¾'), ("sup1", '¹'), ("sup2", '²'), ("sup3", '³'), ("ordf", 'ª'),
    ("ordm", 'º'), ("iexcl", '¡'), ("iquest", '¿'), ("le", '≤'), ("ge", '≥'), ("ne", '≠'), ("asymp", '≈'),
    ("infin", '∞'), ("larr", '←'), ("uarr", '↑'), ("rarr", '→'), ("darr", '↓'), ("check", '✓'),
    ("hearts", '♥'), ("prime", '′'), ("Prime", '″'), ("Agrave", 'À'), ("Aacute", 'Á'), ("Acirc", 'Â'),
    ("Atilde", 'Ã'), ("Auml", 'Ä'), ("Aring", 'Å'), ("AElig", 'Æ'), ("Ccedil", 'Ç'), ("Egrave", 'È'),
    ("Eacute", 'É'), ("Ecirc", 'Ê'), ("Euml", 'Ë'), ("Igrave", 'Ì'), ("Iacute", 'Í'), ("Icirc", 'Î'),
    ("Iuml", 'Ï'), ("Ntilde", 'Ñ'), ("Ograve", 'Ò'), ("Oacute", 'Ó'), ("Ocirc", 'Ô'), ("Otilde", 'Õ'),
    ("Ouml", 'Ö'), ("Oslash", 'Ø'), ("OElig", 'Œ'), ("Ugrave", 'Ù'), ("Uacute", 'Ú'), ("Ucirc", 'Û'),
    ("Uuml", 'Ü'), ("Scaron", 'Š'), ("agrave", 'à'), ("aacute", 'á'), ("acirc", 'â'), ("atilde", 'ã'),
    ("auml", 'ä'), ("aring", 'å'), ("aelig", 'æ'), ("ccedil", 'ç'), ("egrave", 'è'), ("eacute", 'é'),
    ("ecirc", 'ê'), ("euml", 'ë'), ("igrave", 'ì'), ("iacute", 'í'), ("icirc", 'î'), ("iuml", 'ï'),
    ("ntilde", 'ñ'), ("ograve", 'ò'), ("oacute", 'ó'), ("ocirc", 'ô'), ("otilde", 'õ'), ("ouml", 'ö'),
    ("oslash", 'ø'), ("oelig", 'œ'), ("ugrave", 'ù'), ("uacute", 'ú'), ("ucirc", 'û'), ("uuml", 'ü'),
    ("yuml", 'ÿ'), ("scaron", 'š'), ("szlig", 'ß'),
];

/// Bytes of a reference between `&` and `;` at most.
const REFERENCE_BYTES_MAX: usize = 10;

/// Decodes character references; what is none stays as it is.
fn decode(html: &str) -> String {
    let mut done = String::with_capacity(html.len());
    let mut rest = html;
    while let Some(place) = rest.find('&') {
        done.push_str(&rest[..place]);
        rest = &rest[place + 1..];
        let end = rest.bytes().take(REFERENCE_BYTES_MAX + 1).position(|byte| byte == b';');
        match end.and_then(|end| Some((reference(&rest[..end])?, end))) {
            Some((c, end)) => {
                done.push(c);
                rest = &rest[end + 1..];
            }
            None => done.push('&'),
        }
    }
    done.push_str(rest);
    done
}

fn reference(name: &str) -> Option<char> {
    let number = |digits: &str, radix| u32::from_str_radix(digits, radix).ok().and_then(char::from_u32);
    match name.strip_prefix('#') {
        Some(digits) => match digits.strip_prefix(['x', 'X']) {
            Some(digits) => number(digits, 16),
            None => number(digits, 10),
        },
        None => NAMED.iter().find(|(known, _)| *known == name).map(|(_, c)| *c),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn html_becomes_text() {
        let check = |html: &str, expected: &str| assert_eq!(text(html), expected, "{html}");
        check("", "");
        check("plain", "plain");
        check(" two\r\n lines \n", "two\nlines");
        check("<p>One</p>\n<p>Two &amp; <b>three</b>.</p>", "One\nTwo & three.");
        check("<p>a\n  b</p>", "a b");
        check("one<br/>two<BR>three", "one\ntwo\nthree");
        check("<ul><li>red</li><li> blue </li></ul>", "- red\n- blue");
        check("<table><tr><td>Size</td><td>42</td></tr><tr><td>x</td></tr></table>", "Size 42\nx");
        check("a<script>if (a < b) { alert('</p>') }</script>b", "ab");
        check("<style>p { color: red }</style><p class=\"a>b\">x</p>", "x");
        check("<SCRIPT src=x></ScRiPt >y", "y");
        check("<!-- no --><p>yes<!-- no", "yes");
        check("<!doctype html><p>x", "x");
        check("1 < 2 and 3 > 2", "1 < 2 and 3 > 2");
        check("<p title=\"unclosed>x</p>", "x");
        check("a <b", "a");
        check("caf&eacute; &#8364; &#x20AC; &nbsp;&bogus; &amp", "café € € &bogus; &amp");
        check("&#0;&#x110000;&#55296;&;", "&#x110000;&#55296;&;");
        check("&é;é", "&é;é");
    }
}
