//! Signing in and out, and coming in by a link.

use std::time::Duration;

use askama::Template;
use hyper::StatusCode;
use hyper::header::{self, HeaderValue};

use super::{Frame, html};
use crate::access::accounts::{Attempt, Outcome, Tried};
use crate::access::roles;
use crate::error::{Error, Kind, Result};
use crate::http::respond::{self, Answer, Late, Refusal};
use crate::http::visit::{Visit, cookie};
use crate::store::invitation::{Link, Purpose};

/// What is said of a wrong address and of a wrong password alike.
const WRONG: &str = "The address or the password is wrong.";

#[derive(Template)]
#[template(path = "login.html")]
struct Login<'a> {
    frame: Frame<'a>,
    /// Where to go then: a path of ours.
    next: &'a str,
    email: &'a str,
    /// Whether somebody who is signed in gives the password once more.
    again: bool,
    wrong: &'a str,
}

/// The sign-in page; `next` is where to go then, `again` asks who is signed in for the password once more.
pub(in crate::http) fn show(visit: &Visit<'_>) -> Result<Answer, Refusal> {
    let query = visit.asked.query();
    let (next, again) = (local(query.get("next")), query.get("again").is_some());
    match visit.visitor() {
        Some(_) if !again => Ok(respond::see_other(next)),
        _ => login(visit, next, again, ""),
    }
}

fn login(visit: &Visit<'_>, next: &str, again: bool, wrong: &str) -> Result<Answer, Refusal> {
    let visitor = visit.visitor().filter(|_| again);
    let title = if visitor.is_some() { "Is it still you?" } else { "Sign in" };
    let typed = visit.form.text("email").unwrap_or_default();
    let email = visitor.map_or(typed, |visitor| visitor.email.as_str());
    html(&Login { frame: alone(visit, title), next, email, again: visitor.is_some(), wrong })
}

/// Signs in, or takes the password once more, and goes on.
pub(in crate::http) fn sign_in(visit: &Visit<'_>) -> Result<Answer, Refusal> {
    let (form, accounts) = (&visit.form, &visit.asked.site.accounts);
    let (next, again) = (local(form.get("next")), form.get("again").is_some());
    let (password, address) = (form.get("password").unwrap_or_default(), visit.asked.address);
    let tried = match visit.visitor().filter(|_| again) {
        Some(visitor) => accounts.confirm(visitor, password, address)?,
        None => {
            let email = form.text("email").unwrap_or_default();
            accounts.sign_in(Attempt { email, password, address }, Some(&visit.browser.secret))?
        }
    };
    settle(visit, tried, next, WRONG, |wrong| login(visit, next, again, wrong))
}

/// Signs out; `next` of the form is where to go then, else the sign-in page.
pub(in crate::http) fn sign_out(visit: &Visit<'_>) -> Result<Answer, Refusal> {
    visit.asked.site.accounts.sign_out(&visit.browser.secret)?;
    let next = visit.form.get("next").map_or("/login", |next| local(Some(next)));
    let mut answer = respond::see_other(next);
    respond::set_cookie(&mut answer, &cookie(visit.asked.site, ""));
    Ok(answer)
}

#[derive(Template)]
#[template(path = "link.html")]
struct ByLink<'a> {
    frame: Frame<'a>,
    link: &'a Link,
    /// `an admin`.
    role: &'static str,
    /// Whether it is an invitation; else the way to a new password.
    invitation: bool,
    wrong: &'a str,
}

impl ByLink<'_> {
    /// Whether the person has a password already, and must give it.
    fn known(&self) -> bool {
        self.invitation && self.link.password.is_some()
    }
}

/// The page of an invitation.
///
/// # Errors
/// 404 for a link that does not work, or no longer.
pub(in crate::http) fn invitation(visit: &Visit<'_>) -> Result<Answer, Refusal> {
    by_link(visit, Purpose::Invitation, "")
}

/// The page to choose a new password on.
///
/// # Errors
/// 404 for a link that does not work, or no longer.
pub(in crate::http) fn reset(visit: &Visit<'_>) -> Result<Answer, Refusal> {
    by_link(visit, Purpose::Reset, "")
}

fn by_link(visit: &Visit<'_>, purpose: Purpose, wrong: &str) -> Result<Answer, Refusal> {
    let link = visit.asked.site.accounts.link(visit.asked.segment("token"), purpose)?;
    let invitation = purpose == Purpose::Invitation;
    let title =
        if invitation { format!("Join {}", link.organisation) } else { "Choose a new password".to_owned() };
    html(&ByLink {
        frame: alone(visit, &title),
        role: roles::with_article(link.role),
        link: &link,
        invitation,
        wrong,
    })
}

/// Takes a membership up.
///
/// # Errors
/// 404 for a link that does not work, or no longer.
pub(in crate::http) fn take_up(visit: &Visit<'_>) -> Result<Answer, Refusal> {
    let (accounts, again) =
        (&visit.asked.site.accounts, |wrong: &str| by_link(visit, Purpose::Invitation, wrong));
    let (token, password) = (visit.asked.segment("token"), visit.form.get("password").unwrap_or_default());
    let link = accounts.link(token, Purpose::Invitation)?;
    if link.password.is_none()
        && let Err(error) = check_repeat(visit)
    {
        return unfit(error, again);
    }
    match accounts.take_up(token, password, visit.asked.address) {
        Ok(tried) => {
            if matches!(tried.outcome, Outcome::Done(_)) {
                accounts.sign_out(&visit.browser.secret)?;
            }
            settle(visit, tried, "/", "The password is wrong.", again)
        }
        Err(error) => unfit(error, again),
    }
}

/// Chooses a new password.
///
/// # Errors
/// 404 for a link that does not work, or no longer.
pub(in crate::http) fn choose(visit: &Visit<'_>) -> Result<Answer, Refusal> {
    let again = |wrong: &str| by_link(visit, Purpose::Reset, wrong);
    if let Err(error) = check_repeat(visit) {
        return unfit(error, again);
    }
    let new = visit.form.get("password").unwrap_or_default();
    match visit.asked.site.accounts.reset(visit.asked.segment("token"), new) {
        Ok(secret) => {
            visit.asked.site.accounts.sign_out(&visit.browser.secret)?;
            Ok(signed_in(visit, &secret, "/"))
        }
        Err(error) => unfit(error, again),
    }
}

/// Refuses a new password that was not typed twice alike.
///
/// # Errors
/// `Invalid`.
pub(super) fn check_repeat(visit: &Visit<'_>) -> Result<()> {
    match visit.form.get("password") == visit.form.get("repeat") {
        true => Ok(()),
        false => Err(Error::invalid("The two passwords differ: type the same one twice.")),
    }
}

/// What comes of a password that was given: on to `next` as who is signed in, or the form `again`.
pub(super) fn settle(
    visit: &Visit<'_>,
    tried: Tried<String>,
    next: &str,
    wrong: &str,
    again: impl Fn(&str) -> Result<Answer, Refusal>,
) -> Result<Answer, Refusal> {
    let mut answer = match tried.outcome {
        Outcome::Done(secret) => signed_in(visit, &secret, next),
        Outcome::Wrong => respond::with_status(again(wrong)?, StatusCode::FORBIDDEN),
        Outcome::Wait(seconds) => {
            let text = format!("Too many attempts: wait {}, then try again.", words(seconds));
            let mut answer = respond::with_status(again(&text)?, StatusCode::TOO_MANY_REQUESTS);
            answer.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
            answer
        }
    };
    if tried.late_seconds > 0 {
        answer.extensions_mut().insert(Late(Duration::from_secs(tried.late_seconds)));
    }
    Ok(answer)
}

/// The form `again` when what was typed cannot be taken; other errors as they are.
pub(super) fn unfit(
    error: Error,
    again: impl Fn(&str) -> Result<Answer, Refusal>,
) -> Result<Answer, Refusal> {
    match error.kind {
        Kind::Invalid => Ok(respond::with_status(again(&error.public)?, StatusCode::BAD_REQUEST)),
        _ => Err(error.into()),
    }
}

fn signed_in(visit: &Visit<'_>, secret: &str, next: &str) -> Answer {
    let mut answer = respond::see_other(next);
    respond::set_cookie(&mut answer, &cookie(visit.asked.site, secret));
    answer
}

fn words(seconds: i64) -> String {
    match seconds {
        1 => "a second".to_owned(),
        ..=90 => format!("{seconds} seconds"),
        _ => format!("{} minutes", (seconds + 59) / 60),
    }
}

/// A page without the menu, for who is not signed in or must not be distracted.
fn alone<'a>(visit: &'a Visit<'_>, title: &'a str) -> Frame<'a> {
    Frame { title, place: "", visitor: None, csrf: &visit.csrf }
}

/// `next` if it is a path on this server, else the overview. A browser takes `//host` and `/\host` for another server
/// (URL standard, section 4.4), and drops tabs and line feeds.
fn local(next: Option<&str>) -> &str {
    let is_path = |path: &&str| {
        let graphic = path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
        graphic && path.starts_with('/') && !path.starts_with("//")
    };
    next.filter(is_path).unwrap_or("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_paths_of_ours_are_gone_to() {
        let check = |next: &str, expected: &str| assert_eq!(local(Some(next)), expected, "{next:?}");
        check("/", "/");
        check("/sessions?tool=a%20b&x=//y", "/sessions?tool=a%20b&x=//y");
        check(
            "/authorize?redirect_uri=https%3A%2F%2Fclaude.ai",
            "/authorize?redirect_uri=https%3A%2F%2Fclaude.ai",
        );
        check("", "/");
        check("sessions", "/");
        check("//evil.example", "/");
        check("/\\evil.example", "/");
        check("/\t/evil.example", "/");
        check("/\n/evil.example", "/");
        check("https://evil.example/", "/");
        check("javascript:alert(1)", "/");
        check("/é", "/");
        assert_eq!(local(None), "/");
    }

    #[test]
    fn waits_are_said_in_words() {
        let check = |seconds, expected: &str| assert_eq!(words(seconds), expected);
        check(1, "a second");
        check(30, "30 seconds");
        check(120, "2 minutes");
        check(841, "15 minutes");
    }
}
