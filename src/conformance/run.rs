//! A run: each era that the server speaks is a lane, and each check that applies runs in it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use super::bench::{Bench, Calls, Second};
use super::check::{Check, Era, Probe, Stop};
use super::evidence::{Evidence, Scribe};
use super::expect::{skip, what_came};
use super::opening::{Shut, longest, open, question, why};
use super::{checks, login, page};
use crate::clock;
use crate::error::{Error, Result, one_line};
use crate::peer::{Dialler, Exchange, Options, Refused, Target};
use crate::protocol::revision::Revision;

/// After this long it is told what is waited for.
const QUIET: Duration = Duration::from_secs(3);
/// The longest pause that a server may ask for before a request is sent again (`Retry-After`).
const MAX_PAUSE: Duration = Duration::from_secs(3);
/// A check may take this many times the patience for one answer.
const SHARES: u32 = 8;
/// Characters of what is said of an outcome.
const MAX_CHARS: usize = 2_000;
/// Tools that are named where one is to be called that there is not.
const TOOLS_SHOWN: usize = 10;
/// The exchanges that are shown of a check: the last ones, where what is wrong shows.
const SHOWN: usize = 3;

/// What to run.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The server and how to talk to it.
    pub options: Options,
    /// The same server as somebody else, whom the first must be kept apart from.
    pub other: Option<Options>,
    /// The revisions to test. One that the server does not speak is said to be so.
    pub revisions: Vec<Revision>,
    /// Ids of checks, or what they begin with; empty for all.
    pub only: Vec<String>,
    /// Calls that are allowed beyond those of tools that only read.
    pub calls: Calls,
}

/// How a check ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// In order.
    Passed,
    /// A MUST is broken: how.
    Failed(String),
    /// A SHOULD is broken: how.
    Warned(String),
    /// There is nothing to test: why.
    NotExercised(String),
}

impl Outcome {
    /// It as one word.
    pub fn word(&self) -> &'static str {
        match self {
            Outcome::Passed => "passed",
            Outcome::Failed(_) => "failed",
            Outcome::Warned(_) => "warned",
            Outcome::NotExercised(_) => "not exercised",
        }
    }

    /// Whether there is nothing to mend.
    pub fn is_well(&self) -> bool {
        matches!(self, Outcome::Passed | Outcome::NotExercised(_))
    }

    /// What there is to say about it.
    pub fn text(&self) -> &str {
        match self {
            Outcome::Passed => "",
            Outcome::Failed(text) | Outcome::Warned(text) | Outcome::NotExercised(text) => text,
        }
    }
}

/// What a check found in a lane.
pub struct Finding {
    /// The check.
    pub check: &'static Check,
    /// The lane's revision.
    pub revision: Revision,
    /// How it ended.
    pub outcome: Outcome,
    /// What was said, if it failed or warned.
    pub evidence: Vec<Evidence>,
    /// What was sent and what came of it, a line each.
    pub said: Vec<String>,
    /// How long it took, in milliseconds.
    pub took_ms: u128,
}

impl Finding {
    /// A finding of which there is nothing more to say.
    pub fn new(check: &'static Check, revision: Revision, outcome: Outcome) -> Finding {
        Finding { check, revision, outcome, evidence: Vec::new(), said: Vec::new(), took_ms: 0 }
    }

    /// The URL of the sentence.
    pub fn url(&self) -> String {
        page(self.check.source, self.revision)
    }
}

/// A lane that was run, or why not.
pub struct LaneReport {
    /// The revision asked for.
    pub asked: Revision,
    /// The revision tested, and how the server calls itself; or why it was not.
    pub tested: Result<(Revision, String), String>,
}

/// All that came of a run.
pub struct Report {
    /// The URL, or the command.
    pub target: String,
    /// The lanes.
    pub lanes: Vec<LaneReport>,
    /// What was found, in the order of the lanes and the table.
    pub findings: Vec<Finding>,
    /// How many messages and requests were sent.
    pub sent: usize,
    /// What the server refused because it was asked too often.
    pub refused: Refused,
}

impl Report {
    /// One of `target` in which nothing is found yet.
    pub(super) fn new(target: String) -> Report {
        Report { target, lanes: Vec::new(), findings: Vec::new(), sent: 0, refused: Refused::default() }
    }

    /// How many findings are of this kind, by [`Outcome::word`].
    pub fn count(&self, word: &str) -> usize {
        self.findings.iter().filter(|finding| finding.outcome.word() == word).count()
    }
}

/// What a run tells of as it goes.
pub enum News<'a> {
    /// A check has ended.
    Found(&'a Finding),
    /// The server takes its time: what is waited for.
    Waits(String),
}

/// Runs the checks. `watch` is told of each finding as it comes.
///
/// # Errors
/// When no revision could be tested: the server is not there, lets nobody in, or speaks none of them. `Invalid` when
/// `only` names no check, or a call is wanted of a tool that the server does not list.
pub async fn run(plan: Plan, mut watch: impl FnMut(News<'_>)) -> Result<Report> {
    let chosen = choose(&plan.only, plan.other.is_some())?;
    let dial = |options: &Options| Dialler::new(Options { pause: MAX_PAUSE, ..options.clone() });
    let dialler = dial(&plan.options)?;
    let other = plan.other.as_ref().map(dial).transpose()?;
    let mut scribe = Scribe::new(&plan.options, plan.other.as_ref());
    let target = scribe.hide(&target_text(&plan.options.target));
    let mut report = Report::new(target);
    let calls = Arc::new(plan.calls);
    let mut shut: Vec<Shut> = Vec::new();
    for (place, &asked) in plan.revisions.iter().enumerate() {
        if shut.iter().filter(|shut| shut.is_silence()).count() > 1 {
            break;
        }
        // A process has had the time to start once.
        let hurried = shut.iter().any(Shut::is_silence).then(|| dialler.hurried());
        let dialler = hurried.as_ref().unwrap_or(&dialler);
        let seconds = longest(dialler.options()).as_secs();
        let waits =
            || format!("Waiting for the answer to {}, for up to {seconds} s (--timeout).", question(asked));
        match patiently(QUIET, waits, &mut watch, open(dialler, asked, calls.clone())).await {
            Err(refusal) => {
                let why = scribe.hide(&refusal.text());
                shut.push(refusal);
                report.lanes.push(LaneReport { asked, tested: Err(why) });
            }
            Ok(bench) if report.lanes.iter().any(|lane| is_tested(lane, bench.revision)) => {
                let why = format!("the server answers with {}, which is tested already", bench.revision);
                report.lanes.push(LaneReport { asked, tested: Err(why) });
                bench.close().await;
            }
            Ok(mut bench) => {
                let is_first = !report.lanes.iter().any(|lane| lane.tested.is_ok());
                let later = plan.revisions.iter().skip(place + 1).filter(|_| is_first);
                if let (true, Some(error)) = (is_first, uncallable(&mut bench, dialler, later).await) {
                    bench.close().await;
                    return Err(Error { public: scribe.hide(&error.public), ..error });
                }
                bench.chosen = chosen.iter().map(|probe| probe.check.id).collect();
                let tested = Ok((bench.revision, name_of(&bench)));
                bench.other = second(other.as_ref(), bench.revision, &calls, &mut scribe).await;
                report.lanes.push(LaneReport { asked, tested });
                for probe in &chosen {
                    let check = &probe.check;
                    if check.applies.covers(bench.revision, bench.peer.is_stdio())
                        && (is_first || check.applies.era != Era::Once)
                    {
                        let waits = || format!("{} ({asked}) waits for the server.", check.id);
                        let examined = examine(probe, &mut bench, &mut scribe);
                        let finding = patiently(QUIET, waits, &mut watch, examined).await;
                        if bench.peer.has_gone() {
                            revive(&mut bench).await;
                        }
                        watch(News::Found(&finding));
                        report.findings.push(finding);
                    }
                }
                bench.close().await;
            }
        }
    }
    report.sent = dialler.sent();
    report.refused = refusals(&dialler, other.as_ref());
    match report.lanes.iter().any(|lane| lane.tested.is_ok()) {
        false => {
            let error = why(shut);
            Err(Error { public: scribe.hide(&error.public), ..error })
        }
        true => Ok(report),
    }
}

/// What comes of `work`; tells what it `waits` for once it has taken as long as `quiet`.
async fn patiently<T>(
    quiet: Duration,
    waits: impl Fn() -> String,
    watch: &mut impl FnMut(News<'_>),
    work: impl Future<Output = T>,
) -> T {
    let mut work = std::pin::pin!(work);
    match tokio::time::timeout(quiet, &mut work).await {
        Ok(done) => done,
        Err(_) => {
            watch(News::Waits(waits()));
            work.await
        }
    }
}

/// What either identity was refused.
fn refusals(first: &Dialler, other: Option<&Dialler>) -> Refused {
    let (mut all, theirs) = (first.refused(), other.map(Dialler::refused).unwrap_or_default());
    all.count += theirs.count;
    if all.words.is_empty() {
        all.words = theirs.words;
    }
    all
}

/// That a tool is to be called which is listed neither in this lane nor in those of the revisions `later`.
async fn uncallable(
    bench: &mut Bench,
    dialler: &Dialler,
    later: impl Iterator<Item = &Revision>,
) -> Option<Error> {
    let (mut missing, tools) = not_there(bench).await;
    for &asked in later {
        if missing.is_empty() {
            return None;
        }
        if let Ok(mut lane) = open(dialler, asked, bench.calls.clone()).await {
            missing = &missing & &not_there(&mut lane).await.0;
            lane.close().await;
        }
    }
    let missing: Vec<_> = missing.into_iter().collect();
    let shown = tools.iter().take(TOOLS_SHOWN).map(|name| one_line(name, 80)).collect::<Vec<_>>().join(", ");
    let shown = match tools.len() {
        0 => "no tools".to_owned(),
        count if count > TOOLS_SHOWN => format!("{shown} and {} more", count - TOOLS_SHOWN),
        _ => shown,
    };
    let text = format!("--call {}: the server has no such tool. It has {shown}.", missing.join(", "));
    (!missing.is_empty()).then(|| Error::invalid(text))
}

/// The tools that are to be called and that the server does not list, and those that it lists. None are missing where the
/// list is not known to its end.
async fn not_there(bench: &mut Bench) -> (BTreeSet<String>, Vec<String>) {
    let mut missing: BTreeSet<_> = bench.calls.keys().cloned().collect();
    if missing.is_empty() || !bench.has("tools") {
        return (missing, Vec::new());
    }
    let listed = bench.list("tools/list").await.ok();
    let Some(listed) = listed.filter(|listed| listed.cut.is_none() && listed.endless.is_none()) else {
        return Default::default();
    };
    let names = listed.items.iter().filter_map(|tool| tool.get("name")?.as_str());
    let names: Vec<_> = names.map(str::to_owned).collect();
    missing.retain(|name| !names.contains(name));
    (missing, names)
}

/// The second identity in the lane of `revision`.
async fn second(
    dialler: Option<&Dialler>,
    revision: Revision,
    calls: &Arc<Calls>,
    scribe: &mut Scribe,
) -> Option<Second> {
    match open(dialler?, revision, calls.clone()).await {
        Ok(bench) => Some(Ok(Arc::new(tokio::sync::Mutex::new(bench)))),
        Err(error) => Some(Err(scribe.hide(&error.text()))),
    }
}

fn is_tested(lane: &LaneReport, revision: Revision) -> bool {
    lane.tested.as_ref().is_ok_and(|(tested, _)| *tested == revision)
}

/// The checks that are wanted; those of two identities where there are two.
fn choose(only: &[String], two: bool) -> Result<Vec<&'static Probe>> {
    if let Some(unknown) = only.iter().find(|wanted| !checks::all().any(|check| check.is_of(wanted))) {
        return Err(Error::invalid(no_such_check(unknown)));
    }
    let wanted = |check: &Check| only.is_empty() || only.iter().any(|wanted| check.is_of(wanted));
    let apt = |check: &Check| two || !check.id.starts_with("identity.");
    let chosen: Vec<_> = checks::probes().filter(|probe| wanted(&probe.check) && apt(&probe.check)).collect();
    match chosen.is_empty() {
        true => Err(Error::invalid(
            "The checks of identity want a second one: give --other-header or --other-login.",
        )),
        false => Ok(chosen),
    }
}

/// What to say of an id that no check has, nor begins with: which there are of its family, or which families.
fn no_such_check(unknown: &str) -> String {
    let family = unknown.split('.').next().unwrap_or_default();
    let ids: Vec<_> = login::all().map(|check| check.id).collect();
    let of_family: Vec<_> = ids.iter().copied().filter(|id| id.split('.').next() == Some(family)).collect();
    let (what, all) = match of_family.is_empty() {
        true => {
            let all: BTreeSet<_> = ids.iter().filter_map(|id| id.split('.').next()).collect();
            ("they begin with".to_owned(), all.into_iter().collect())
        }
        false => (format!("of {family} there are"), of_family),
    };
    format!("There is no check {unknown:?}; {what} {}. --list tells what each is about.", all.join(", "))
}

fn target_text(target: &Target) -> String {
    match target {
        Target::Url(url) => url.clone(),
        Target::Command(command) => {
            command.iter().map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
        }
    }
}

fn name_of(bench: &Bench) -> String {
    let modern = bench.opened.pointer("/_meta/io.modelcontextprotocol~1serverInfo");
    let info = modern.or_else(|| bench.opened.get("serverInfo"));
    let part = |name: &str| {
        let text = info.and_then(|info| info.get(name)).and_then(Value::as_str).unwrap_or_default();
        one_line(text, 80)
    };
    format!("{} {}", part("name"), part("version")).trim().to_owned()
}

/// Starts the lane's process anew, which has ended: the checks to come are judged on another one. Where that fails too,
/// each of them says so.
async fn revive(bench: &mut Bench) {
    if let Ok(peer) = bench.another().await {
        bench.peer = peer;
    }
}

/// What is said of a process that a check ended.
const DIED: &str = "the server's process ended";

async fn examine(probe: &'static Probe, bench: &mut Bench, scribe: &mut Scribe) -> Finding {
    let check = &probe.check;
    bench.noted.clear();
    bench.at = check.id;
    let (revision, start, refusals) = (bench.revision, clock::instant(), bench.refusals());
    let limit = bench.dialler.options().patience * SHARES;
    let was_there = !bench.peer.has_gone();
    let verdict = tokio::time::timeout(limit, (probe.run)(bench))
        .await
        // It asks much of a server that takes its time: each answer has come within its own.
        .unwrap_or_else(|_| {
            skip(format!("the check did not end within {} s; --timeout waits longer", limit.as_secs()))
        });
    bench.at = "";
    // Neither a failure nor a success says anything where the server did not look at what was asked.
    let limit = bench.limit().filter(|_| bench.refusals() > refusals);
    let outcome = match verdict {
        Err(Stop::Skips(why)) => Outcome::NotExercised(one_line(&scribe.hide(&why), MAX_CHARS)),
        _ if let Some(limit) = limit => Outcome::NotExercised(limit),
        // Whatever a check is of: no message of a client may end the server.
        Ok(()) if was_there && bench.peer.has_gone() => Outcome::Failed(DIED.to_owned()),
        Err(Stop::Fails(text)) if was_there && bench.peer.has_gone() => {
            Outcome::Failed(format!("{DIED}; {}", one_line(&scribe.hide(&text), MAX_CHARS)))
        }
        Err(Stop::Breaks(error)) if was_there && bench.peer.has_gone() => {
            Outcome::Failed(format!("{DIED}; {}", scribe.hide(&error.public)))
        }
        Ok(()) => Outcome::Passed,
        Err(Stop::Fails(text)) => check.broken(one_line(&scribe.hide(&text), MAX_CHARS)),
        Err(Stop::Breaks(error)) => check.broken(scribe.hide(&error.public)),
    };
    let mut finding = Finding::new(check, revision, outcome);
    finding.said = bench.noted.iter().map(|shown| scribe.hide(&said(&shown.exchange))).collect();
    if !finding.outcome.is_well() {
        let skip = bench.noted.len().saturating_sub(SHOWN);
        finding.evidence = bench.noted.iter().skip(skip).map(|shown| scribe.write(shown)).collect();
    }
    finding.took_ms = clock::since(start).as_millis();
    finding
}

/// An exchange in a line.
fn said(exchange: &Exchange) -> String {
    let sent = &exchange.sent;
    let body = serde_json::from_slice::<Value>(&sent.body).unwrap_or_default();
    let method = body.get("method").and_then(Value::as_str).map(str::to_owned);
    let what = method.unwrap_or_else(|| format!("{} bytes", sent.body.len()));
    format!("{} {what}: {}", sent.method, what_came(exchange)).trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_takes_long_is_told_of_once() {
        let check = async |quiet: u64, expected: &[&str]| {
            let mut told = Vec::new();
            let work = tokio::time::sleep(Duration::from_millis(20));
            let mut watch = |news: News<'_>| match news {
                News::Waits(what) => told.push(what),
                News::Found(_) => {}
            };
            patiently(Duration::from_millis(quiet), || "an answer".to_owned(), &mut watch, work).await;
            assert_eq!(told, expected);
        };
        check(0, &["an answer"]).await;
        check(10_000, &[]).await;
    }
}
