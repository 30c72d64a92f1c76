//! Chatbots: the list, and of one every setting, what it answers from, and how it came to be as it is.

mod history;

use askama::Template;
use hyper::StatusCode;

use super::diff;
use super::format::{self, Times};
use super::{Frame, html};
use crate::access::accounts::Visitor;
use crate::access::roles::Action;
use crate::error::{Error, Kind as ErrorKind, Result};
use crate::http::respond::{self, Answer, Refusal};
use crate::http::visit::Visit;
use crate::models;
use crate::store::chatbot::{self, By, Chatbot, Strictness};
use crate::store::knowledge::{self, Kind, Source};
use crate::store::training_job::{self, Job, Status};
use crate::store::{Durability, TenantTx};
use history::History;

/// Chatbots that the list shows at most.
const LISTED_MAX: i64 = 500;
/// Jobs that the page of a chatbot shows.
const JOBS_SHOWN: i64 = 5;

#[derive(Template)]
#[template(path = "chatbots.html")]
struct List<'a> {
    frame: Frame<'a>,
    rows: Vec<Row>,
}

/// A chatbot in the list.
struct Row {
    id: i64,
    name: String,
    model: String,
    language: String,
    platform: String,
    enabled: bool,
    is_primary: bool,
}

/// Every chatbot of the organisation.
pub(in crate::http) fn list(visit: &Visit<'_>) -> Result<Answer, Refusal> {
    let visitor = visit.may(Action::See)?;
    let rows = visit.asked.site.app.store.read(|tx| rows(&tx.tenant(visitor.organisation.tenant)))?;
    html(&List { frame: Frame::new(visit, "Chatbots", "/chatbots"), rows })
}

fn rows(tx: &TenantTx<'_>) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    chatbot::each(tx, None, LISTED_MAX, |bot| {
        rows.push(Row {
            id: bot.id,
            name: bot.name.to_owned(),
            model: model(bot.model),
            language: bot.language.to_owned(),
            platform: platform(bot.platform).to_owned(),
            enabled: bot.enabled,
            is_primary: bot.is_primary,
        });
        Ok(())
    })?;
    Ok(rows)
}

/// What people call a model.
fn model(id: &str) -> String {
    let known = models::CATALOGUE.iter().find(|model| model.id == id);
    known.map_or(id, |model| model.label).to_owned()
}

fn platform(name: &str) -> &str {
    match name {
        "web" => "Web",
        "whatsapp" => "WhatsApp",
        "messenger" => "Messenger",
        other => other,
    }
}

#[derive(Template)]
#[template(path = "chatbot.html")]
struct Page<'a> {
    frame: Frame<'a>,
    times: Times,
    bot: &'a Chatbot,
    sources: Vec<Source>,
    jobs: Vec<Job>,
    history: History,
    /// Whether this person may undo and train.
    may_change: bool,
    /// What was just done.
    done: &'static str,
    /// Why something was not done.
    wrong: &'static str,
}

impl Page<'_> {
    /// The settings' colours, with their names.
    fn colors(&self) -> [(&'static str, &str); 3] {
        let settings = &self.bot.settings;
        [
            ("Primary colour", &settings.primary_color),
            ("Background colour", &settings.background_color),
            ("Text colour", &settings.text_color),
        ]
    }

    /// The widget's texts, with their names.
    fn texts(&self) -> [(&'static str, &str); 4] {
        let settings = &self.bot.settings;
        [
            ("Welcome message", &settings.welcome_message),
            ("Input placeholder", &settings.input_placeholder),
            ("Thinking label", &settings.thinking_label),
            ("Submit label", &settings.submit_label),
        ]
    }

    /// How long the instructions are.
    fn instructions_size(&self) -> String {
        let text = &self.bot.settings.instructions;
        let (lines, chars) = (text.lines().count() as i64, text.chars().count() as i64);
        format!("{}, {}", format::count(lines, "line"), format::count(chars, "character"))
    }

    /// Whether a job waits or runs.
    fn is_training(&self) -> bool {
        self.jobs.first().is_some_and(|job| matches!(job.status, Status::Queued | Status::Running))
    }
}

/// One chatbot: its settings, knowledge, training and history. `before` in the query pages through the history.
pub(in crate::http) fn show(visit: &Visit<'_>) -> Result<Answer, Refusal> {
    page(visit, "")
}

fn page(visit: &Visit<'_>, wrong: &'static str) -> Result<Answer, Refusal> {
    let visitor = visit.may(Action::See)?;
    let (id, query) = (visit.asked.number("id")?, visit.asked.query());
    let before = query.get("before").and_then(|before| before.parse().ok());
    let found = visit.asked.site.app.store.read(|tx| {
        let tx = tx.tenant(visitor.organisation.tenant);
        let Some(bot) = chatbot::get(&tx, id)? else { return Ok(None) };
        let jobs = training_job::last(&tx, id, JOBS_SHOWN)?;
        Ok(Some((bot, knowledge::sources(&tx, id)?, jobs, History::read(&tx, id, before)?)))
    })?;
    let (bot, sources, jobs, history) = found.ok_or_else(Refusal::not_found)?;
    html(&Page {
        frame: Frame::new(visit, &bot.settings.name, "/chatbots"),
        times: Times::new(&visitor.organisation.timezone, visit.asked.now()),
        bot: &bot,
        sources,
        jobs,
        history,
        may_change: visitor.may(Action::ChangeChatbots),
        done: done(query.get("done").unwrap_or_default()),
        wrong,
    })
}

/// What a form did, in words; the address says which.
fn done(what: &str) -> &'static str {
    match what {
        "restored" => "The earlier settings are back. The change is in the history below and can be undone.",
        "same" => "Nothing had to change: the settings are already like that.",
        "training" => {
            "Training has started. It goes on in the background; reload this page to see how far it is."
        }
        _ => "",
    }
}

/// Brings an earlier version of the settings back: `version` and `if_version` of the form.
///
/// # Errors
/// 404 when there is no such version. Settings that were changed since the form was made stay: the page as it is now,
/// with status 409.
pub(in crate::http) fn undo(visit: &Visit<'_>) -> Result<Answer, Refusal> {
    let visitor = visit.may(Action::ChangeChatbots)?;
    let id = visit.asked.number("id")?;
    let (version, present) = (number(visit, "version")?, number(visit, "if_version")?);
    let (tenant, actor, now) = (visitor.organisation.tenant, actor(visitor), visit.asked.now());
    let change = visit.asked.site.app.store.write(Durability::Disk, move |tx| {
        let by = By { origin: "undo", actor: &actor, now };
        chatbot::restore_version(&tx.tenant(tenant), id, version, Some(present), &by)
    });
    let change = match change {
        Err(Error { kind: ErrorKind::Conflict, .. }) => return changed_meanwhile(visit),
        other => other?.ok_or_else(Refusal::not_found)?,
    };
    let done = if change.version == change.version_before { "same" } else { "restored" };
    Ok(respond::see_other(&format!("/chatbots/{id}?done={done}")))
}

/// The page as it is now, for who acted on an older one.
fn changed_meanwhile(visit: &Visit<'_>) -> Result<Answer, Refusal> {
    let text = "Nothing was undone: the settings were changed after you opened the page. This is how they are now; \
                look at the newest change and decide again.";
    Ok(respond::with_status(page(visit, text)?, StatusCode::CONFLICT))
}

/// A number that the form must carry.
fn number(visit: &Visit<'_>, name: &str) -> Result<i64, Refusal> {
    let number = visit.form.get(name).and_then(|value| value.parse().ok());
    number.ok_or_else(|| {
        Refusal::new(400, "invalid", "The form was not complete. Go back, reload the page and try again.")
    })
}

/// Starts the training of a chatbot, unless it runs already.
pub(in crate::http) fn train(visit: &Visit<'_>) -> Result<Answer, Refusal> {
    let visitor = visit.may(Action::ChangeChatbots)?;
    let id = visit.asked.number("id")?;
    let (tenant, actor, now) = (visitor.organisation.tenant, actor(visitor), visit.asked.now());
    let app = &visit.asked.site.app;
    let started = app
        .store
        .write(Durability::Disk, move |tx| training_job::start(&tx.tenant(tenant), id, &actor, now))?;
    started.ok_or_else(Refusal::not_found)?;
    app.wake_training();
    Ok(respond::see_other(&format!("/chatbots/{id}?done=training#training")))
}

/// The person as the history names them.
pub(super) fn actor(visitor: &Visitor) -> String {
    match visitor.name.trim() {
        "" => visitor.email.clone(),
        name => format!("{name} ({})", visitor.email),
    }
}

/// A knowledge source in words.
fn source(source: &Source) -> &str {
    match source.kind {
        Kind::Products if source.name.is_empty() => "Products of every catalogue",
        Kind::Products => &source.name,
        Kind::Documents => "Documents",
        Kind::Custom => "Custom content",
    }
}

fn strictness(strictness: &Strictness) -> &'static str {
    match strictness {
        Strictness::Relaxed => "may go beyond what it knows",
        Strictness::Balanced => "prefers what it knows",
        Strictness::Strict => "answers from what it knows alone",
    }
}
