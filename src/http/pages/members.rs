//! The members: who they are, what they may do, and how others come in.

use askama::Template;
use hyper::StatusCode;

use super::format::Times;
use super::{Frame, html, unknown_form};
use crate::access::accounts::Visitor;
use crate::access::roles::{self, Action};
use crate::error::{Error, Kind, Result};
use crate::http::respond::{self, Answer, Refusal};
use crate::http::visit::Visit;
use crate::store::user::{Member, Role};

#[derive(Template)]
#[template(path = "members.html")]
struct Page<'a> {
    frame: Frame<'a>,
    visitor: &'a Visitor,
    times: Times,
    members: Vec<Member>,
    /// Whether the password was given recently enough to hand out links and roles.
    is_fresh: bool,
    /// What makes a form that hands out a link work once.
    once: String,
    /// What was just done.
    done: &'static str,
    /// Why a form was refused.
    wrong: &'a str,
    /// What the refused form had as its address.
    email: &'a str,
}

impl Page<'_> {
    fn may_manage(&self) -> bool {
        self.visitor.may(Action::ManageMembers)
    }

    /// Whether the visitor may change this member.
    fn reaches(&self, member: &Member) -> bool {
        roles::reaches(self.visitor.role(), member.role)
    }

    /// The roles that the visitor may give, lowest first.
    fn roles(&self) -> impl Iterator<Item = Role> {
        let own = self.visitor.role();
        Role::ALL.into_iter().rev().filter(move |role| roles::reaches(own, *role))
    }
}

#[derive(Template)]
#[template(path = "member_link.html")]
struct Made<'a> {
    frame: Frame<'a>,
    /// What the link is for, and how long it works.
    about: String,
    url: String,
}

/// The members and those who are invited.
pub(in crate::http) fn list(visit: &Visit<'_>) -> Result<Answer, Refusal> {
    let done = match visit.asked.query().get("done") {
        Some("role") => "The role is changed.",
        Some("removed") => "The membership is ended: the person's browsers and apps are refused from now on.",
        _ => "",
    };
    page(visit, done, "")
}

fn page(visit: &Visit<'_>, done: &'static str, wrong: &str) -> Result<Answer, Refusal> {
    let visitor = visit.may(Action::See)?;
    html(&Page {
        frame: Frame::new(visit, "Members", "/members"),
        visitor,
        times: Times::new(&visitor.organisation.timezone, visit.asked.now()),
        members: visit.asked.site.accounts.members(visitor)?,
        is_fresh: visitor.is_fresh(visit.asked.now()),
        once: visit.asked.site.once.value(),
        done,
        wrong,
        email: visit.form.text("email").unwrap_or_default(),
    })
}

/// Does what one of the page's forms says: `action` is `invite`, `role`, `reset` or `remove`.
pub(in crate::http) fn act(visit: &Visit<'_>) -> Result<Answer, Refusal> {
    visit.may(Action::ManageMembers)?;
    let action = visit.form.get("action").unwrap_or_default();
    if action != "remove" {
        visit.recently(Action::ManageMembers)?;
    }
    let done = match action {
        "invite" => once(visit, || invite(visit)),
        "role" => set_role(visit),
        "reset" => once(visit, || reset(visit)),
        "remove" => remove(visit),
        _ => return Err(unknown_form().into()),
    };
    match done {
        Ok(answer) => answer,
        Err(error) if error.kind.http_status() >= 500 => Err(error.into()),
        Err(error) => {
            let status = StatusCode::from_u16(error.kind.http_status()).unwrap_or(StatusCode::BAD_REQUEST);
            Ok(respond::with_status(page(visit, "", &error.public)?, status))
        }
    }
}

/// What a form did: what to answer, or why it was refused.
type Done = Result<Result<Answer, Refusal>>;

/// Makes a link, unless this very form did already: a new one would end the one that was copied.
fn once(visit: &Visit<'_>, job: impl FnOnce() -> Done) -> Done {
    visit.asked.site.once.with(visit.form.get("once").unwrap_or_default(), job)
}

/// The link stands on the page that answers and nowhere else: there is no redirect, and nothing keeps the page.
fn invite(visit: &Visit<'_>) -> Done {
    let role = role(visit)?;
    let email = visit.form.text("email").unwrap_or_default();
    let path = visit.asked.site.accounts.invite(visitor(visit)?, email, role)?;
    let about =
        format!("By this link, {email} joins as {}. It works once, for 7 days.", roles::with_article(role));
    Ok(made(visit, "Invitation", about, &path))
}

fn reset(visit: &Visit<'_>) -> Done {
    let (by, accounts) = (visitor(visit)?, &visit.asked.site.accounts);
    let user = user(visit)?;
    let path = accounts.reset_link(by, user)?;
    let about =
        "By this link, the person chooses a new password; their browsers are then signed out, and apps they \
                 allowed are cut off. It works once, for a day."
            .to_owned();
    Ok(made(visit, "A new password", about, &path))
}

fn made(visit: &Visit<'_>, title: &str, about: String, path: &str) -> Result<Answer, Refusal> {
    let url = format!("{}{path}", visit.asked.site.options.public_origin);
    html(&Made { frame: Frame::new(visit, title, "/members"), about, url })
}

fn set_role(visit: &Visit<'_>) -> Done {
    visit.asked.site.accounts.set_role(visitor(visit)?, user(visit)?, role(visit)?)?;
    Ok(Ok(respond::see_other("/members?done=role")))
}

fn remove(visit: &Visit<'_>) -> Done {
    visit.asked.site.accounts.remove(visitor(visit)?, user(visit)?)?;
    Ok(Ok(respond::see_other("/members?done=removed")))
}

fn visitor<'v>(visit: &'v Visit<'_>) -> Result<&'v Visitor> {
    visit.visitor().ok_or_else(|| Error::new(Kind::Unauthorized, "Sign in first."))
}

fn user(visit: &Visit<'_>) -> Result<i64> {
    let number = visit.form.get("user").and_then(|number| number.parse().ok());
    number.ok_or_else(|| Error::not_found("There is no such member any more."))
}

fn role(visit: &Visit<'_>) -> Result<Role> {
    let role = visit.form.get("role").and_then(Role::parse);
    role.ok_or_else(|| Error::invalid("Choose a role: owner, admin or analyst."))
}
