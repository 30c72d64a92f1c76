//! One's own account: the password, other browsers, and which organisation is shown.

use askama::Template;

use super::sign_in::{check_repeat, settle, unfit};
use super::{Frame, html, unknown_form};
use crate::access::accounts::Visitor;
use crate::http::respond::{self, Answer, Refusal};
use crate::http::visit::Visit;

#[derive(Template)]
#[template(path = "account.html")]
struct Page<'a> {
    frame: Frame<'a>,
    you: &'a Visitor,
    /// What was just done.
    done: &'static str,
    /// Why the form for a new password was refused.
    wrong: &'a str,
}

/// The page.
pub(in crate::http) fn show(visit: &Visit<'_>) -> Result<Answer, Refusal> {
    page(visit, "")
}

fn page(visit: &Visit<'_>, wrong: &str) -> Result<Answer, Refusal> {
    let done = match visit.asked.query().get("done") {
        Some("password") => {
            "Your password is changed. Other browsers are signed out, and apps that you allowed must be connected again."
        }
        Some("others") => "Every other browser is signed out.",
        _ => "",
    };
    html(&Page { frame: Frame::new(visit, "Your account", "/account"), you: visit.member()?, done, wrong })
}

/// Does what one of the page's forms says: `action` is `password`, `others` or `organisation`.
pub(in crate::http) fn act(visit: &Visit<'_>) -> Result<Answer, Refusal> {
    let (visitor, accounts) = (visit.member()?, &visit.asked.site.accounts);
    match visit.form.get("action") {
        Some("password") => change_password(visit),
        Some("others") => {
            accounts.sign_out_others(visitor)?;
            Ok(respond::see_other("/account?done=others"))
        }
        Some("organisation") => {
            accounts.choose(visitor, visit.form.get("organisation").unwrap_or_default())?;
            Ok(respond::see_other("/"))
        }
        _ => Err(unknown_form().into()),
    }
}

fn change_password(visit: &Visit<'_>) -> Result<Answer, Refusal> {
    let again = |wrong: &str| page(visit, wrong);
    if let Err(error) = check_repeat(visit) {
        return unfit(error, again);
    }
    let (form, visitor) = (&visit.form, visit.member()?);
    let (current, new) = (form.get("current").unwrap_or_default(), form.get("password").unwrap_or_default());
    match visit.asked.site.accounts.change_password(visitor, current, new, visit.asked.address) {
        Ok(tried) => settle(visit, tried, "/account?done=password", "The current password is wrong.", again),
        Err(error) => unfit(error, again),
    }
}
