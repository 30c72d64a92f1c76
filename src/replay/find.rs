//! Which turn of the recording a message of the client is: by what it says, or by the recorded order.

use std::collections::HashMap;

use serde_json::{Value, json};

use crate::protocol::rpc::is_request;
use crate::protocol::transcript::compare::{
    Difference, Of, Opaque, compare, compare_all, is_one_secret, is_placeholder,
};
use crate::protocol::transcript::turns::{Kind, Turn, brief, method_of, name_of};

/// How many requests of the recording an error names.
const MAX_NAMED: usize = 30;
/// How many differences it names.
const MAX_DIFFERENCES: usize = 5;

/// How often each turn was played, and how far a strict replay is.
pub(super) struct Finder {
    played: Vec<u32>,
    next: usize,
    /// What each placeholder of the recording stands for in this run, and on which line it was said first.
    stands_for: HashMap<String, (String, usize)>,
    /// The same by kind and value: the placeholder and the line.
    by_value: HashMap<(String, String), (String, usize)>,
}

impl Finder {
    /// At the beginning, what no client does again counts as played, so that nothing waits for it.
    pub(super) fn new(turns: &[Turn]) -> Finder {
        let never = |turn: &Turn| matches!(turn.kind, Kind::Other | Kind::Delete) || turn.turned_away();
        let played = turns.iter().map(|turn| u32::from(never(turn))).collect();
        Finder { played, next: 0, stands_for: HashMap::new(), by_value: HashMap::new() }
    }

    /// Counts that this turn is played.
    pub(super) fn play(&mut self, turn: usize) {
        if let Some(played) = self.played.get_mut(turn) {
            *played += 1;
        }
    }

    /// Forgets that it was, so that what waits for it waits again.
    pub(super) fn unplay(&mut self, turn: usize) {
        if let Some(played) = self.played.get_mut(turn) {
            *played = 0;
        }
    }

    /// Whether it was played.
    pub(super) fn was_played(&self, turn: usize) -> bool {
        self.played.get(turn).is_some_and(|played| *played > 0)
    }

    /// Of the turns that fit, the next in the recorded order that was not played; else the last.
    pub(super) fn next_of(&self, turns: &[Turn], fits: impl Fn(&Turn) -> bool) -> Option<usize> {
        let fitting = || turns.iter().enumerate().filter(|(_, turn)| fits(turn)).map(|(place, _)| place);
        fitting().find(|place| !self.was_played(*place)).or_else(|| fitting().last())
    }

    /// By method and parameters, then with anything in the place of placeholders, else by method and name. `None` when the
    /// recording has nothing like it.
    pub(super) fn leniently(&self, turns: &[Turn], message: &Value) -> Option<usize> {
        let kind = if message.get("id").is_some() { Kind::Request } else { Kind::Notification };
        let method = method_of(message)?;
        let alike = |turn: &Turn| turn.kind == kind && turn.method() == Some(method) && can_answer(turn);
        let wanted = params(message); // Members are equal in whatever order.
        let named = |turn: &Turn| turn.message.as_ref().and_then(name_of) == name_of(message);
        let equal = |turn: &Turn| {
            opens(method) || (named(turn) && turn.message.as_ref().map(params).as_ref() == Some(&wanted))
        };
        let near = |turn: &Turn| {
            // A placeholder may stand in the address of a resource.
            let hidden = |turn: &Turn| turn.message.as_ref().and_then(name_of)?.find('[');
            (named(turn) || hidden(turn).is_some()) && first_apart(turn, message).is_none()
        };
        self.next_of(turns, |turn| alike(turn) && equal(turn))
            .or_else(|| self.next_of(turns, |turn| alike(turn) && near(turn)))
            .or_else(|| self.next_of(turns, |turn| alike(turn) && named(turn)))
    }

    /// The recorded answer of the client to what the server asked under this id.
    pub(super) fn answer_to(&self, turns: &[Turn], id: &Value) -> Option<usize> {
        self.next_of(turns, |turn| {
            turn.kind == Kind::Response
                && turn.message.as_ref().and_then(|message| message.get("id")) == Some(id)
        })
    }

    /// The turn that is next in the recording, if `message` says the same.
    ///
    /// # Errors
    /// What was to come, what came, and where they differ, in words.
    pub(super) fn strictly(&mut self, turns: &[Turn], message: &Value) -> Result<usize, String> {
        let came = brief(message);
        let Some(next) = self.to_come(turns).next() else {
            return Err(format!("the recording is over, and {came} came."));
        };
        let Some((turn, recorded)) = turns.get(next).and_then(|turn| Some((turn, turn.message.as_ref()?)))
        else {
            return Err(format!("{came} came, and the recording cannot be read there."));
        };
        let found = compare_all(recorded, message, Of::Client, &[]);
        let is_it = (method_of(recorded), name_of(recorded)) == (method_of(message), name_of(message));
        if is_it || found.differences.is_empty() {
            self.next = next + 1;
            let mut all: Vec<String> = found.differences.iter().map(ToString::to_string).collect();
            all.extend(found.opaque.into_iter().filter_map(|opaque| self.hold(opaque, turn.line)));
            all.truncate(MAX_DIFFERENCES);
            return match all.is_empty() {
                true => Ok(next),
                false => Err(format!("line {}, {came}: {}.", turn.line, all.join("; "))),
            };
        }
        let text = format!("line {}, {}, was to come next, and {came} came.", turn.line, turn.brief());
        let later = self.to_come(turns).find(|later| {
            let recorded = turns.get(*later).and_then(|turn| turn.message.as_ref());
            recorded.is_some_and(|recorded| compare(recorded, message, Of::Client, &[]).is_empty())
        });
        self.next = later.map_or(self.next, |later| later + 1);
        Err(text)
    }

    /// Remembers what a placeholder stands for; else how it does not hold together with what was said before, in words that
    /// tell no secret. One that the client says as it stands, it has from an answer of the replay.
    fn hold(&mut self, opaque: Opaque, line: usize) -> Option<String> {
        let Opaque { pointer, recorded, now } = opaque;
        if recorded == now || !is_placeholder(&recorded) {
            return None;
        }
        if is_placeholder(&now) {
            return Some(format!("{pointer}: {recorded} became {now}"));
        }
        if let Some((known, first)) = self.stands_for.get(&recorded) {
            let other = !is_one_secret(known, &now);
            return other
                .then(|| format!("{pointer}: {recorded} is not the value that it was on line {first}"));
        }
        let kind = recorded.rsplit_once('-').map_or("", |(kind, _)| kind).to_owned();
        if let Some((other, first)) = self.by_value.get(&(kind.clone(), now.clone())) {
            return Some(format!("{pointer}: {recorded} is the value that {other} was on line {first}"));
        }
        self.by_value.insert((kind, now.clone()), (recorded.clone(), line));
        self.stands_for.insert(recorded, (now, line));
        None
    }

    /// The turns of the recorded order that are still to come.
    pub(super) fn to_come<'t>(&self, turns: &'t [Turn]) -> impl Iterator<Item = usize> + use<'t> {
        let said = |turn: &Turn| matches!(turn.kind, Kind::Request | Kind::Notification | Kind::Response);
        let all = turns.iter().enumerate().skip(self.next);
        all.filter(move |(_, turn)| said(turn) && !turn.turned_away()).map(|(place, _)| place)
    }
}

/// Whether the recording has an answer to give: one was recorded, and it did not ask for a credential.
fn can_answer(turn: &Turn) -> bool {
    let refused = turn.status().is_some_and(|status| status >= 400);
    let answered =
        turn.kind == Kind::Notification || turn.response().is_some() || refused || turn.is_subscription();
    answered && !turn.turned_away()
}

/// Whether it is answered alike whatever its parameters are.
fn opens(method: &str) -> bool {
    matches!(method, "initialize" | "server/discover" | "subscriptions/listen")
}

/// Where the parameters of this request are first not those of `turn`, which answers it all the same: a pointer.
pub(super) fn apart(turn: &Turn, message: &Value) -> Option<String> {
    let wanted = is_request(message) && !method_of(message).is_some_and(opens);
    first_apart(turn, message).filter(|_| wanted).map(|difference| difference.pointer)
}

fn first_apart(turn: &Turn, message: &Value) -> Option<Difference> {
    let within = |message: &Value| json!({"params": params(message)});
    let recorded = turn.message.as_ref().map(within).unwrap_or_default();
    compare(&recorded, &within(message), Of::Client, &[]).into_iter().next()
}

/// Parameters without `_meta`.
fn params(message: &Value) -> Value {
    let mut params = message.get("params").and_then(Value::as_object).cloned().unwrap_or_default();
    params.shift_remove("_meta");
    Value::Object(params)
}

/// The requests that the recording has an answer to, each once, in the order in which they were first asked.
pub(super) fn known_requests(turns: &[Turn]) -> Vec<String> {
    let mut known: Vec<String> = Vec::new();
    for turn in turns.iter().filter(|turn| turn.kind == Kind::Request && can_answer(turn)) {
        let brief = turn.brief();
        if !known.contains(&brief) && known.len() < MAX_NAMED {
            known.push(brief);
        }
    }
    known
}

/// Of turn `at`, whose answer wants more of the client first: a later one of the same that was answered in full.
pub(super) fn continued(turns: &[Turn], at: usize) -> Option<usize> {
    let first = turns.get(at)?;
    let name = |turn: &Turn| turn.message.as_ref().and_then(name_of).map(str::to_owned);
    let is_whole = |turn: &Turn| {
        let result = turn.response().and_then(|response| response.get("result"));
        result.is_some_and(|result| result.get("resultType").is_none_or(|kind| kind == "complete"))
    };
    let same = |turn: &Turn| turn.method() == first.method() && name(turn) == name(first) && is_whole(turn);
    turns.iter().skip(at + 1).position(same).map(|place| at + 1 + place)
}
