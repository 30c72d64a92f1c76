//! CSV (RFC 4180) that names what is wrong with it and goes on.
//!
//! A quote that is never closed swallows the rows after it, and readers that forgive it make one row out of two. This
//! one does not: where what closes a quote is not followed by the end of the field, or where a row has not as many
//! fields as the header, the row is given up and reading goes on with the line after its first.

use std::collections::VecDeque;
use std::io::{self, BufRead};

use super::lines::{LINE_BYTES_MAX, Line, Lines, not_utf_8, too_long};

/// What may stand between fields: programs of some countries write semicolons.
const DELIMITERS: [u8; 3] = [b',', b';', b'\t'];

/// The rows of a CSV file below its header.
pub struct Csv<R> {
    lines: Lines<R>,
    /// Lines to be read again.
    ahead: VecDeque<Line>,
    delimiter: u8,
    header: Vec<String>,
}

/// A row with as many fields as the header.
#[derive(Debug, PartialEq, Eq)]
pub struct Row {
    /// The line it begins on.
    pub line: u64,
    /// Its bytes.
    pub bytes: usize,
    /// Its fields, without quotes.
    pub fields: Vec<String>,
}

impl Row {
    fn is_blank(&self) -> bool {
        self.fields.iter().all(|field| field.trim().is_empty())
    }
}

/// A row that cannot be read.
#[derive(Debug, PartialEq, Eq)]
pub struct Broken {
    /// The line it begins on.
    pub line: u64,
    /// The fields before the fault.
    pub fields: Vec<String>,
    /// What is wrong.
    pub reason: String,
}

impl<R: BufRead> Csv<R> {
    /// Reads the header; `Broken` when it cannot be read.
    pub fn open(reader: R) -> io::Result<Result<Csv<R>, Broken>> {
        let (lines, ahead) = (Lines::new(reader), VecDeque::new());
        let mut csv = Csv { lines, ahead, delimiter: b',', header: Vec::new() };
        while let Some(line) = csv.next_line()? {
            csv.delimiter = delimiter(line.bytes.as_deref().unwrap_or_default());
            match csv.row(line)? {
                Ok(row) if row.is_blank() => {}
                Ok(row) => return Ok(Ok(Csv { header: row.fields, ..csv })),
                Err(broken) => return Ok(Err(broken)),
            }
        }
        Ok(Ok(csv))
    }

    /// The names of the columns.
    pub fn header(&self) -> &[String] {
        &self.header
    }

    /// The next row; `None` at the end. Rows without any text are passed over.
    pub fn next(&mut self) -> io::Result<Option<Result<Row, Broken>>> {
        while let Some(line) = self.next_line()? {
            let row = self.row(line)?;
            if !row.as_ref().is_ok_and(Row::is_blank) {
                return Ok(Some(row));
            }
        }
        Ok(None)
    }

    fn next_line(&mut self) -> io::Result<Option<Line>> {
        match self.ahead.pop_front() {
            Some(line) => Ok(Some(line)),
            None => self.lines.next(),
        }
    }

    /// The row that begins with `first`. When it is broken, the lines after the first are put back.
    fn row(&mut self, first: Line) -> io::Result<Result<Row, Broken>> {
        let number = first.number;
        let mut scan = Scan { delimiter: self.delimiter, ..Scan::default() };
        let mut taken = Vec::new();
        let mut next = Some(first);
        let mut bytes = 0;
        let mut read = loop {
            let Some(line) = next else { break Err(scan.unclosed(&self.header)) };
            bytes += line.bytes.as_ref().map_or(LINE_BYTES_MAX, Vec::len) + 1;
            let ended = if bytes > LINE_BYTES_MAX && !taken.is_empty() {
                Err(scan.unclosed(&self.header))
            } else {
                line.bytes.as_ref().map_or(Err(too_long()), |bytes| scan.line(bytes, &self.header))
            };
            taken.push(line);
            match ended {
                Ok(false) => next = self.next_line()?,
                Ok(true) => break Ok(()),
                Err(reason) => break Err(reason),
            }
        };
        let (came, wanted) = (scan.fields.len(), self.header.len());
        if read.is_ok() && wanted > 0 && came != wanted && !scan.is_blank() {
            read = Err(format!("it has {came} fields; wanted {wanted}, as many as the header"));
        }
        Ok(read.map_or_else(
            |reason| {
                taken.drain(1..).rev().for_each(|line| self.ahead.push_front(line));
                Err(Broken { line: number, fields: scan.fields.clone(), reason })
            },
            |()| Ok(Row { line: number, bytes, fields: scan.fields.clone() }),
        ))
    }
}

/// The delimiter that a header has most often outside quotes.
fn delimiter(header: &[u8]) -> u8 {
    let count = |delimiter: u8| {
        let mut quoted = false;
        let outside = header.iter().filter(|&&byte| {
            quoted ^= byte == b'"';
            byte == delimiter && !quoted
        });
        outside.count()
    };
    // Of equals the last is the greatest: the comma.
    DELIMITERS.into_iter().rev().max_by_key(|&delimiter| count(delimiter)).unwrap_or(b',')
}

/// Where in a row the reading is.
#[derive(Default, PartialEq)]
enum At {
    #[default]
    Start,
    Bare,
    Quoted,
    /// After a quote within quotes, which closes them unless another follows.
    Closed,
}

/// A row being read, line by line.
#[derive(Default)]
struct Scan {
    delimiter: u8,
    at: At,
    field: Vec<u8>,
    fields: Vec<String>,
}

impl Scan {
    /// Reads a line; whether the row ends with it.
    fn line(&mut self, bytes: &[u8], header: &[String]) -> Result<bool, String> {
        for &byte in bytes {
            self.byte(byte, header)?;
        }
        if self.at == At::Quoted {
            self.field.push(b'\n');
            return Ok(false);
        }
        if self.at == At::Bare && self.field.last() == Some(&b'\r') {
            self.field.pop();
        }
        self.end_field(header)?;
        Ok(true)
    }

    fn byte(&mut self, byte: u8, header: &[String]) -> Result<(), String> {
        match self.at {
            At::Quoted if byte == b'"' => self.at = At::Closed,
            At::Quoted => self.field.push(byte),
            _ if byte == self.delimiter => return self.end_field(header),
            At::Start if byte == b'"' => self.at = At::Quoted,
            At::Closed if byte == b'"' => {
                self.field.push(b'"');
                self.at = At::Quoted;
            }
            // In front of the line feed.
            At::Closed if byte == b'\r' => {}
            At::Closed => return Err(self.unclosed(header)),
            At::Start | At::Bare => {
                self.field.push(byte);
                self.at = At::Bare;
            }
        }
        Ok(())
    }

    fn end_field(&mut self, header: &[String]) -> Result<(), String> {
        self.at = At::Start;
        let field = String::from_utf8(std::mem::take(&mut self.field))
            .map_err(|e| format!("{}: {}", self.column(header), not_utf_8(e.utf8_error().valid_up_to())))?;
        self.fields.push(field);
        Ok(())
    }

    /// An empty line.
    fn is_blank(&self) -> bool {
        matches!(self.fields.as_slice(), [only] if only.trim().is_empty())
    }

    fn unclosed(&self, header: &[String]) -> String {
        format!("{}: the quote that opens it is not closed as it should be", self.column(header))
    }

    /// The name of the column that is being read.
    fn column(&self, header: &[String]) -> String {
        let number = self.fields.len();
        header.get(number).map_or_else(|| format!("field {}", number + 1), |name| name.trim().to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each row as `line:field|field`, each broken one as `line!reason`.
    fn rows(text: &[u8]) -> Vec<String> {
        let mut csv = Csv::open(text).unwrap().unwrap();
        let mut found = Vec::new();
        while let Some(row) = csv.next().unwrap() {
            found.push(match row {
                Ok(row) => format!("{}:{}", row.line, row.fields.join("|")),
                Err(broken) => format!("{}!{}", broken.line, broken.reason),
            });
        }
        found
    }

    fn check(text: &str, expected: &[&str]) {
        assert_eq!(rows(text.as_bytes()), expected, "{text:?}");
    }

    #[test]
    fn reads_what_is_well_formed() {
        check("", &[]);
        check("a,b", &[]);
        check("a,b\n1,2\n3,4\n", &["2:1|2", "3:3|4"]);
        check("a,b\r\n1,2\r\n\r\n\"3\",\"4\"\r\n", &["2:1|2", "4:3|4"]);
        check("\u{feff}\"a\",b\n\"x \"\"y\"\"\",\"1,\n2\"\n,z", &["2:x \"y\"|1,\n2", "4:|z"]);
        check("a,b\n,\n5\" pipe,x\n", &["3:5\" pipe|x"]);
        check("a;b\n1,5;\"2;\"\n", &["2:1,5|2;"]);
        check("a\tb\n1,5\t2\n", &["2:1,5|2"]);
        check("\"a;x;y\",b\n1,2\n", &["2:1|2"]);
        check("\n \n,,\na;b\n1,5;2\n", &["5:1,5|2"]);
    }

    #[test]
    fn a_broken_row_takes_no_other_with_it() {
        let unclosed = "!b: the quote that opens it is not closed as it should be";
        let two = |line: u64| format!("{line}{unclosed}");
        check("a,b,c\n1,\"x,2\n3,\"y\",4\n", &[&two(2), "3:3|y|4"]);
        check("a,b,c\n1,\"x,2\n3,y,4\n", &[&two(2), "3:3|y|4"]);
        check("a,b,c\n1,\"x\"y,2\n3,y,4\n", &[&two(2), "3:3|y|4"]);
        check("a,b,c\n1,\"x,2\n3,\"\"\"y\"\"\",4\n5,\"z\",6\n", &[&two(2), "3:3|\"y\"|4", "4:5|z|6"]);
        // The swallowed row begins with a quoted line feed.
        let few =
            |line: u64, came: u64| format!("{line}!it has {came} fields; wanted 3, as many as the header");
        check("a,b,c\n1,\"x,2\n3,y,\"\n4\"\n", &[&few(2, 2), "3:3|y|\n4"]);
    }

    #[test]
    fn too_few_and_too_many_fields_are_named() {
        check(
            "a,b\n1\n1,2,3\n1,2\n",
            &[
                "2!it has 1 fields; wanted 2, as many as the header",
                "3!it has 3 fields; wanted 2, as many as the header",
                "4:1|2",
            ],
        );
    }

    #[test]
    fn what_is_no_utf_8_is_named() {
        let found = rows(b"a,b\n1,caf\xC3\n3,4\n");
        assert_eq!(found[1], "3:3|4");
        assert!(found[0].starts_with("2!b: it is not UTF-8 (after 3 bytes"), "{}", found[0]);
    }

    #[test]
    fn a_row_that_never_ends_is_given_up() {
        let row = format!("3,{}\n", "x".repeat(1 << 20));
        let text = format!("a,b\n1,\"x\n{}", row.repeat(9));
        let found = rows(text.as_bytes());
        assert_eq!(found[0], "2!b: the quote that opens it is not closed as it should be");
        assert!(found.len() == 10 && found[1].starts_with("3:3|xxx"), "{}", found.len());
    }
}
