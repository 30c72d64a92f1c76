//! What `serve` says once it accepts connections: to a script one JSON object, to a person what to paste where.

use std::fmt::Write as _;
use std::path::Path;

use serde::Serialize;

use crate::demo::Keys;

/// Where the server is, and with which keys a demo can be asked. Serialised, it is the line that scripts read.
#[derive(Serialize)]
pub struct Greeting {
    /// The full endpoint.
    pub url: String,
    /// The read-only endpoint.
    pub readonly_url: String,
    /// The keys of a demo.
    #[serde(flatten)]
    pub keys: Option<Keys>,
}

impl Greeting {
    /// That of a server whose URLs begin with `origin`.
    pub fn new(origin: &str, keys: Option<Keys>) -> Greeting {
        Greeting { url: format!("{origin}/mcp/"), readonly_url: format!("{origin}/mcp-readonly/"), keys }
    }

    /// The greeting for a person; `program` and `data_dir` are what the line for stdio names.
    pub fn text(&self, program: &Path, data_dir: &Path) -> String {
        let Greeting { url, readonly_url, keys } = self;
        let mut text = format!(
            "Chaterimo {} is ready.\n\n  full access  {url}\n  read-only    {readonly_url}\n\n",
            env!("CARGO_PKG_VERSION")
        );
        let key = match keys {
            Some(Keys {
                api_key,
                readonly_api_key,
                free_api_key,
                owner_email,
                owner_password,
                analyst_email,
                analyst_password,
            }) => {
                let _ = write!(
                    text,
                    "Keys of the demo, shown this once:\n\n  full access  {api_key}\n  read-only    \
                     {readonly_api_key}\n  Free plan    {free_api_key}\n\n"
                );
                let origin = url.trim_end_matches("mcp/");
                let _ = write!(
                    text,
                    "Sign in at {origin}login, with passwords of this start:\n\n  {owner_email:<22}{owner_password}\n  \
                     {analyst_email:<22}{analyst_password}\n\n"
                );
                api_key
            }
            None => {
                text.push_str(
                    "Make a key with `chaterimo key create`, and put it in place of cha_… below.\n\n",
                );
                "cha_…"
            }
        };
        let (program, data_dir) = (quoted(program), quoted(data_dir));
        let _ = write!(
            text,
            "Connect Claude Code over HTTP:\n\n  claude mcp add --transport http chaterimo {url} --header \
             \"Authorization: Bearer {key}\"\n\nor over stdio, which needs no server running:\n\n  claude mcp add \
             chaterimo --env CHATERIMO_API_KEY={key} -- {program} stdio --data-dir {data_dir}\n\nStop with Ctrl-C."
        );
        text
    }
}

/// A path as a POSIX shell takes it.
fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |c: char| c.is_alphanumeric() || "/._-+:@%".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        text
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys() -> Keys {
        Keys {
            api_key: "cha_a".into(),
            readonly_api_key: "cha_r".into(),
            free_api_key: "cha_f".into(),
            owner_email: "owner@demo.example",
            owner_password: "one".into(),
            analyst_email: "analyst@demo.example",
            analyst_password: "two".into(),
        }
    }

    #[test]
    fn scripts_get_one_object() {
        let check = |keys: Option<Keys>, expected: &str| {
            let greeting = Greeting::new("http://127.0.0.1:8787", keys);
            assert_eq!(serde_json::to_string(&greeting).unwrap(), expected);
        };
        let urls =
            r#""url":"http://127.0.0.1:8787/mcp/","readonly_url":"http://127.0.0.1:8787/mcp-readonly/""#;
        check(None, &format!("{{{urls}}}"));
        let rest = concat!(
            r#""api_key":"cha_a","readonly_api_key":"cha_r","free_api_key":"cha_f","owner_email":"owner@demo.example","#,
            r#""owner_password":"one","analyst_email":"analyst@demo.example","analyst_password":"two""#,
        );
        check(Some(keys()), &format!("{{{urls},{rest}}}"));
    }

    #[test]
    fn people_get_lines_to_paste() {
        let greeting = Greeting::new("https://mcp.example.com", Some(keys()));
        let text = greeting.text(Path::new("/opt/chaterimo"), Path::new("/home/ada/it's data"));
        let check = |line: &str| assert!(text.lines().any(|l| l.trim() == line), "{line} is not in {text}");
        check("full access  https://mcp.example.com/mcp/");
        check("read-only    https://mcp.example.com/mcp-readonly/");
        check("Free plan    cha_f");
        check("Sign in at https://mcp.example.com/login, with passwords of this start:");
        check("owner@demo.example    one");
        check("analyst@demo.example  two");
        check(
            "claude mcp add --transport http chaterimo https://mcp.example.com/mcp/ --header \"Authorization: Bearer cha_a\"",
        );
        check(
            r"claude mcp add chaterimo --env CHATERIMO_API_KEY=cha_a -- /opt/chaterimo stdio --data-dir '/home/ada/it'\''s data'",
        );
    }
}
