//! What `serve` says once it accepts connections: to a script one JSON object, to a person what to paste where.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

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

    /// The greeting for a person, who goes on at `setup`.
    pub fn text(&self, setup: &Setup) -> String {
        let Greeting { url, readonly_url, keys } = self;
        let origin = url.trim_end_matches("/mcp/");
        let mut text = format!(
            "Chaterimo {} is ready.\n\n  full access  {url}\n  read-only    {readonly_url}\n\n",
            env!("CARGO_PKG_VERSION")
        );
        let _ = match keys {
            Some(keys) => write!(text, "{}", of_the_demo(keys, origin)),
            None if setup.empty => write!(
                text,
                "There is no organisation yet. Make one, and open the link that is printed for its owner:\n\n  \
                 {}\n\nFrom then on people sign in to the dashboard at {origin}/login\n\n",
                setup.command(&format!(
                    "org create NAME --owner EMAIL{}",
                    if setup.moved { format!(" --public-url {origin}") } else { String::new() }
                ))
            ),
            None => write!(text, "Sign in to the dashboard at {origin}/login\n\n"),
        };
        let (key, made) = match keys {
            Some(keys) => (keys.api_key.as_str(), String::new()),
            None => (
                "cha_…",
                format!(" in place of cha_…, which the dashboard or `{}` makes", setup.command("key create")),
            ),
        };
        let (program, data_dir) = (quoted(&setup.program), quoted(&setup.data_dir));
        let _ = write!(
            text,
            "Connect Claude Code by signing in:\n\n  claude mcp add --transport http chaterimo {url}\n  claude mcp login \
             chaterimo\n\nor with a key{made}:\n\n  claude mcp add --transport http chaterimo {url} --header \
             \"Authorization: Bearer {key}\"\n\nor over stdio, which needs no server running:\n\n  claude mcp add \
             chaterimo --env CHATERIMO_API_KEY={key} -- {program} stdio --data-dir {data_dir}\n\nStop with Ctrl-C."
        );
        text
    }
}

/// Keys and passwords of a demo at `origin`.
fn of_the_demo(keys: &Keys, origin: &str) -> String {
    let Keys {
        api_key,
        readonly_api_key,
        free_api_key,
        owner_email,
        owner_password,
        analyst_email,
        analyst_password,
    } = keys;
    format!(
        "Keys of the demo, shown this once:\n\n  full access  {api_key}\n  read-only    {readonly_api_key}\n  Free plan    \
         {free_api_key}\n\nSign in at {origin}/login, with passwords of this start:\n\n  \
         {owner_email:<22}{owner_password}\n  {analyst_email:<22}{analyst_password}\n\n"
    )
}

/// What a person's next commands depend on.
pub struct Setup {
    /// This program.
    pub program: PathBuf,
    /// The data folder, from the root.
    pub data_dir: PathBuf,
    /// Whether it is another than the default, so that commands must name it.
    pub chosen: bool,
    /// Whether commands that print a link must be told where the server is.
    pub moved: bool,
    /// Whether it holds no organisation yet.
    pub empty: bool,
}

impl Setup {
    /// A command of this program on this data, for a POSIX shell.
    fn command(&self, arguments: &str) -> String {
        let mut line = format!("{} {arguments}", quoted(&self.program));
        if self.chosen {
            let _ = write!(line, " --data-dir {}", quoted(&self.data_dir));
        }
        line
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
        let text = Greeting::new("https://mcp.example.com", Some(keys())).text(&setup(true, false));
        let check = |line: &str| assert!(text.lines().any(|l| l.trim() == line), "{line} is not in {text}");
        check("full access  https://mcp.example.com/mcp/");
        check("read-only    https://mcp.example.com/mcp-readonly/");
        check("Free plan    cha_f");
        check("claude mcp login chaterimo");
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

    fn setup(chosen: bool, empty: bool) -> Setup {
        Setup {
            program: "/opt/chaterimo".into(),
            data_dir: "/home/ada/it's data".into(),
            chosen,
            moved: chosen,
            empty,
        }
    }

    #[test]
    fn the_first_start_says_how_to_go_on() {
        let check = |setup: Setup, expected: &str| {
            let text = Greeting::new("https://mcp.example.com", None).text(&setup);
            assert!(text.contains(expected), "{expected} is not in {text}");
            assert!(text.contains("https://mcp.example.com/login\n"), "{text}");
        };
        check(setup(false, true), "  /opt/chaterimo org create NAME --owner EMAIL\n");
        check(
            setup(true, true),
            r"  /opt/chaterimo org create NAME --owner EMAIL --public-url https://mcp.example.com --data-dir '/home/ada/it'\''s data'",
        );
        check(setup(false, false), "`/opt/chaterimo key create` makes");
    }
}
