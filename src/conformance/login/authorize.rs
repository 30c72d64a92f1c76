//! Visits to the authorization endpoint: with the person's browser, and without one, to see what it says to anybody.

use std::time::Duration;

use super::browser::Browser;
use super::discovery;
use super::listener::{Listener, Returned};
use super::web::{Answer, Web};
use crate::error::{Error, Kind, Result};

/// Redirects within the authorization server that are followed.
const MAX_REDIRECTS: usize = 5;
/// How long after the end of a visit an answer may still arrive.
const GRACE: Duration = Duration::from_secs(2);

/// The way to the person's consent.
pub struct Authorization {
    browser: Browser,
    listener: Listener,
    redirect_uri: String,
    /// Whether the command was seen to end only after the browser had come back. Then a visit that ends without that is
    /// a page which led nowhere.
    faithful: bool,
    /// How many visits there were.
    visits: usize,
}

/// How a visit ended.
#[derive(Clone, Debug)]
pub enum Visited {
    /// The browser came to the listener.
    Returned(Returned),
    /// It did not.
    Ended,
}

impl Authorization {
    /// By `browser`, back to `redirect_uri`, which leads to `listener`.
    pub fn new(browser: Browser, listener: Listener, redirect_uri: String) -> Authorization {
        Authorization { browser, listener, redirect_uri, faithful: false, visits: 0 }
    }

    /// The redirect URI that is registered.
    pub fn redirect_uri(&self) -> String {
        self.redirect_uri.clone()
    }

    /// The port that it leads to.
    pub fn port(&self) -> u16 {
        self.listener.port()
    }

    /// Tells that what is asked from here on ought to be refused.
    pub fn expect_refusals(&self) {
        self.browser.expect_refusals();
    }

    /// Why no page can be tried on the person's browser, if none can.
    pub fn why_not(&self) -> Option<&'static str> {
        match (self.browser.ends(), self.faithful) {
            (false, _) => Some(
                "it comes after signing in, which takes a browser: give --browser with a command that ends when the page \
                 has answered",
            ),
            (true, false) => Some(
                "it comes after signing in, and the command of --browser ended before the browser had come back",
            ),
            (true, true) => None,
        }
    }

    /// Has the person's browser go to `url`, which ought to lead back.
    ///
    /// # Errors
    /// `Invalid` when the browser's command cannot be started, `Unavailable` when nothing comes back in time, when the
    /// command fails before it was ever seen to wait for the browser, or when `url` is not for a browser: a server that nobody knows named it, and systems open files and programs by URLs too.
    pub async fn visit(&mut self, url: &str) -> Result<Visited> {
        if discovery::split(url).is_none() {
            let text = "The authorization_endpoint is no http or https URL, so it is not opened.";
            return Err(Error::new(Kind::Unavailable, text));
        }
        self.listener.forget();
        let patience = self.browser.patience();
        let browser = self.browser.clone();
        self.visits += 1;
        let mut visit = std::pin::pin!(browser.visit(url, self.visits));
        let (mut ended, mut failure) = (false, None);
        let deadline = tokio::time::sleep(patience);
        let mut deadline = std::pin::pin!(deadline);
        loop {
            tokio::select! {
                biased;
                Some(returned) = self.listener.returned() => {
                    self.faithful |= !ended;
                    if !ended {
                        // A browser that is cut off would leave its consent half done.
                        let _ = tokio::time::timeout(GRACE, visit).await;
                    }
                    return Ok(Visited::Returned(returned));
                }
                done = &mut visit, if !ended => {
                    failure = done?;
                    ended = true;
                    match (self.faithful, &failure) {
                        (true, _) => deadline.set(tokio::time::sleep(Duration::from_millis(100))),
                        (false, Some(_)) => deadline.set(tokio::time::sleep(GRACE)),
                        (false, None) => {}
                    }
                }
                () = &mut deadline => {
                    return match failure {
                        _ if ended && self.faithful => Ok(Visited::Ended),
                        Some(failure) => Err(Error::new(Kind::Unavailable, failure)),
                        None => Err(Error::new(Kind::Unavailable, format!(
                            "The browser did not come back within {} s.", patience.as_secs()
                        ))),
                    };
                }
            }
        }
    }
}

/// What the authorization endpoint says to a browser that nobody knows.
#[derive(Clone, Debug)]
pub enum Said {
    /// A page that refuses, by its status.
    Refusal(Answer),
    /// It sends the browser to another site.
    Away(String),
    /// A page, such as one to sign in at: what would come after it is not seen.
    Page(Answer),
}

impl Said {
    /// It, for a report.
    pub fn shown(&self) -> String {
        match self {
            Said::Refusal(answer) => answer.shown(),
            Said::Away(url) => format!("a redirect to {}", super::web::without_query(url)),
            Said::Page(answer) => format!("a page ({}) before anything was checked", answer.shown()),
        }
    }
}

/// Opens `url` as nobody, and follows redirects as long as they stay on the site.
///
/// # Errors
/// Those of [`Web::send`].
pub async fn as_nobody(web: &Web, url: &str) -> Result<Said> {
    let mut url = url.to_owned();
    for _ in 0..MAX_REDIRECTS {
        let answer = web.get(&url, "text/html").await?;
        let Some(location) = answer.location() else {
            return Ok(if answer.status >= 400 { Said::Refusal(answer) } else { Said::Page(answer) });
        };
        match next(&url, location) {
            Some(next) => url = next,
            None => return Ok(Said::Away(location.to_owned())),
        }
    }
    web.get(&url, "text/html").await.map(Said::Page)
}

/// Where `location` leads from `url`, if it stays on the site.
fn next(url: &str, location: &str) -> Option<String> {
    let (origin, path) = discovery::split(url)?;
    if location.starts_with("//") || location.contains('\\') {
        return None;
    }
    if location.starts_with('/') {
        return Some(format!("{origin}{location}"));
    }
    match discovery::split(location) {
        Some((found, _)) => (found == origin).then(|| location.to_owned()),
        None if location.contains(':') => None,
        None => {
            let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
            Some(format!("{origin}{folder}/{location}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_no_page_is_not_opened() {
        let hook = Browser::Hook(std::sync::Arc::new(|url| panic!("{url} was opened")));
        let listener = Listener::bind().await.unwrap();
        let mut authorization = Authorization::new(hook, listener, String::new());
        for url in
            ["file:///bin/sh?a=b", "smb://a.example/x", "-h", "javascript:alert(1)", "/authorize?x", ""]
        {
            assert_eq!(authorization.visit(url).await.unwrap_err().kind, Kind::Unavailable, "{url}");
        }
    }

    #[tokio::test]
    async fn a_command_that_fails_is_not_waited_for() {
        let command = Browser::Command("ls /no/such/folder".into());
        let mut authorization = Authorization::new(command, Listener::bind().await.unwrap(), String::new());
        let visit = authorization.visit("http://127.0.0.1:9/authorize");
        let error = tokio::time::timeout(COME_BACK, visit).await.unwrap().unwrap_err();
        assert!(error.public.contains("ended with exit status: 2"), "{}", error.public);
    }

    /// Long before a command that goes on would be given up.
    const COME_BACK: Duration = Duration::from_secs(30);

    #[test]
    fn redirects_stay_or_lead_away() {
        let check = |location: &str, expected: Option<&str>| {
            assert_eq!(
                next("https://as.example/oauth/authorize?x=1", location).as_deref(),
                expected,
                "{location}"
            );
        };
        check("/login?next=/a", Some("https://as.example/login?next=/a"));
        check("login", Some("https://as.example/oauth/login"));
        check("https://as.example/login", Some("https://as.example/login"));
        check("https://as.example.attacker.example/", None);
        check("https://as.example@attacker.example/", None);
        check("//attacker.example/", None);
        check("/\\attacker.example/", None);
        check("http://127.0.0.1:1/callback?code=x", None);
        check("com.example.app:/callback", None);
        check("javascript:alert(1)", None);
    }
}
