//! `get_dashboard`: the whole shop at a glance.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::figures::{self, Change, Figures, Platform};
use super::period::{self, Period};
use super::{Cx, Effect, Json, Refusal, Spec, schema, text};
use crate::store::analytics::{self, Group};
use crate::store::dashboard::{self, Conversation, Lead, SettingChange, Ticket, Tickets};
use crate::store::{chatbot, quota};

/// Days of the platform breakdown.
const DAYS: i64 = 30;
/// Things of each kind under `recent`.
const RECENT_MAX: i64 = 5;
/// Enabled chatbots that are named; all are counted.
const CHATBOTS_MAX: usize = 20;
/// Characters of a visitor's text.
const TEXT_CHARS_MAX: usize = 120;

/// The tool.
pub struct Tool;

/// Its arguments: none.
#[derive(Deserialize)]
pub struct Args {}

impl super::Tool for Tool {
    const SPEC: Spec = Spec {
        name: "get_dashboard",
        title: "Get dashboard",
        about: "The whole account at a glance: all-time totals (sessions, messages, tickets by status, leads, products), \
                active chatbots, the last 30 days with platform breakdown and change, the latest conversations, \
                tickets, leads and setting changes, and the quota left. Use it for a first overview; get_analytics \
                has trends.",
        effect: Effect::Read,
        untrusted: &["/recent/conversations/*/first_question", "/recent/tickets/*/subject"],
    };
    type Args = Args;

    fn input() -> Value {
        schema::input(json!({}), &[])
    }

    fn output() -> Value {
        let names = ["totals", "chatbots", "last_30_days", "recent", "quota"];
        let mut schema = json!({"type": "object", "properties": {}, "required": names});
        for name in names {
            schema["properties"][name] = json!({"type": "object"});
        }
        schema
    }

    fn run(cx: &Cx<'_>, _: Args) -> Result<Json, Refusal> {
        let period = Period::last(DAYS, period::zone_of_organisation(cx)?, cx.now)?;
        let groups = groups(cx, &period)?;
        let dashboard = Dashboard {
            totals: Totals::of(cx)?,
            chatbots: Chatbots::of(cx, &groups)?,
            last_30_days: Lately::of(cx, &period, &groups)?,
            recent: Recent::of(cx)?,
            quota: Quota { plan: cx.balance.plan.as_str(), minute: cx.balance.minute, day: cx.balance.day },
        };
        if dashboard.recent.conversations.is_empty() && dashboard.recent.tickets.is_empty() {
            return Json::of(&dashboard);
        }
        Json::untrusted(cx, &dashboard)
    }
}

#[derive(Serialize)]
struct Dashboard {
    totals: Totals,
    chatbots: Chatbots,
    last_30_days: Lately,
    recent: Recent,
    quota: Quota,
}

/// All there ever was.
#[derive(Serialize)]
struct Totals {
    sessions: i64,
    messages: i64,
    tickets: Tickets,
    leads: i64,
    products: i64,
}

impl Totals {
    fn of(cx: &Cx<'_>) -> Result<Totals, Refusal> {
        let talks = analytics::all_time(cx.tx)?;
        let dashboard::Totals { tickets, leads, products } = dashboard::totals(cx.tx)?;
        Ok(Totals { sessions: talks.sessions, messages: talks.messages, tickets, leads, products })
    }
}

#[derive(Serialize)]
struct Chatbots {
    total: i64,
    active: i64,
    /// The enabled ones, those of the most sessions first.
    list: Vec<Active>,
}

#[derive(Serialize)]
struct Active {
    id: i64,
    name: String,
    platform: String,
    is_primary: bool,
    sessions_30d: i64,
}

impl Chatbots {
    fn of(cx: &Cx<'_>, groups: &[Group]) -> Result<Chatbots, Refusal> {
        let mut total = 0;
        let mut list = Vec::new();
        chatbot::each(cx.tx, None, i64::MAX, |chatbot| {
            total += 1;
            if chatbot.enabled {
                let own = groups.iter().filter(|group| group.chatbot == chatbot.id);
                list.push(Active {
                    id: chatbot.id,
                    name: chatbot.name.to_owned(),
                    platform: chatbot.platform.to_owned(),
                    is_primary: chatbot.is_primary,
                    sessions_30d: own.map(|group| group.tally.sessions).sum(),
                });
            }
            Ok(())
        })?;
        let active = list.len() as i64;
        list.sort_by_key(|chatbot| (-chatbot.sessions_30d, chatbot.id));
        list.truncate(CHATBOTS_MAX);
        Ok(Chatbots { total, active, list })
    }
}

/// The last 30 days, today among them, against the 30 before.
#[derive(Serialize)]
struct Lately {
    period: Value,
    #[serde(flatten)]
    figures: Figures,
    change_pct: Change,
    platforms: Vec<Platform>,
}

impl Lately {
    fn of(cx: &Cx<'_>, period: &Period, groups: &[Group]) -> Result<Lately, Refusal> {
        let (_, start, until) = period.before(cx.now)?;
        let before = figures::sum(&analytics::groups(cx.tx, start, until, None)?);
        let now = figures::sum(groups);
        Ok(Lately {
            period: period.describe(),
            figures: Figures::of(&now),
            change_pct: Change::between(&before, &now),
            platforms: figures::platforms(groups),
        })
    }
}

/// What happened last, newest first. Leads and changes carry no visitor's text.
#[derive(Serialize)]
struct Recent {
    conversations: Vec<Conversation>,
    tickets: Vec<Ticket>,
    leads: Vec<Lead>,
    setting_changes: Vec<SettingChange>,
}

impl Recent {
    fn of(cx: &Cx<'_>) -> Result<Recent, Refusal> {
        let mut recent = Recent {
            conversations: dashboard::conversations(cx.tx, RECENT_MAX)?,
            tickets: dashboard::latest_tickets(cx.tx, RECENT_MAX)?,
            leads: dashboard::leads(cx.tx, RECENT_MAX)?,
            setting_changes: dashboard::setting_changes(cx.tx, RECENT_MAX)?,
        };
        let theirs = recent.conversations.iter_mut().map(|talk| &mut talk.first_question);
        for text in theirs.chain(recent.tickets.iter_mut().map(|ticket| &mut ticket.subject)) {
            *text = shown(text, cx.redact);
        }
        Ok(recent)
    }
}

#[derive(Serialize)]
struct Quota {
    plan: &'static str,
    minute: quota::Window,
    day: quota::Window,
}

fn groups(cx: &Cx<'_>, period: &Period) -> Result<Vec<Group>, Refusal> {
    let borders = period.borders()?;
    Ok(analytics::groups(cx.tx, borders[0], borders[borders.len() - 1], None)?)
}

/// An outsider's text, masked before it is cut: half an address is one still.
fn shown(text: &str, redact: bool) -> String {
    let text = text::outside(text, redact);
    match text.char_indices().nth(TEXT_CHARS_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.into_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::clock::{DAY, HOUR};
    use crate::store::chatbot::{self, By};
    use crate::store::testing::{self, Talk};
    use crate::tools::testing::{NOW, Shop};

    fn fill(shop: &Shop) {
        shop.seed(|tx| {
            (1..=3).try_for_each(|id| testing::chatbot(tx, id, &format!("Bot {id}")))?;
            let off = By { origin: "update_chatbot_settings", actor: "API key 1", now: NOW };
            chatbot::change(tx, 3, None, &off, |settings| {
                settings.enabled = false;
                Ok(())
            })?;
            for (id, days) in (1..).zip([0, 1, 2, 40, 45, 400]) {
                let chatbot = if id == 1 { 1 } else { 2 };
                testing::put(tx, id, &Talk { chatbot, ..Talk::at(NOW.plus(-days * DAY - HOUR)) })?;
            }
            for (id, status) in (1..).zip(["new", "new", "in_progress", "closed"]) {
                testing::ticket(tx, id, status, NOW.plus(-id * HOUR))?;
            }
            testing::lead(tx, 1, NOW.plus(-DAY))
        });
    }

    #[test]
    fn an_empty_organisation_shows_zeros_and_its_quota() {
        let answer = Shop::new().call("get_dashboard", json!({})).unwrap();
        let tickets = json!({"new": 0, "in_progress": 0, "resolved": 0, "closed": 0, "total": 0});
        let totals = json!({"sessions": 0, "messages": 0, "tickets": tickets, "leads": 0, "products": 0});
        assert_eq!(answer["totals"], totals);
        assert_eq!(answer["chatbots"], json!({"total": 0, "active": 0, "list": []}));
        assert_eq!(answer["last_30_days"]["response_rate"], Value::Null);
        assert_eq!(answer["quota"]["day"]["remaining"], 1_000);
        assert_eq!(answer.get("untrusted"), None);
    }

    #[test]
    fn everything_is_counted_and_the_latest_comes_first() {
        let shop = Shop::new();
        fill(&shop);
        let answer = shop.call("get_dashboard", json!({})).unwrap();
        let tickets = json!({"new": 2, "in_progress": 1, "resolved": 0, "closed": 1, "total": 4});
        let totals = json!({"sessions": 6, "messages": 12, "tickets": tickets, "leads": 1, "products": 0});
        assert_eq!(answer["totals"], totals);
        let active = |id: i64, name: &str, is_primary: bool, sessions: i64| json!({"id": id, "name": name, "platform": "web", "is_primary": is_primary, "sessions_30d": sessions});
        let list = [active(2, "Bot 2", false, 2), active(1, "Bot 1", true, 1)];
        assert_eq!(answer["chatbots"], json!({"total": 3, "active": 2, "list": list}));
        let lately = &answer["last_30_days"];
        assert_eq!((&lately["sessions"], &lately["change_pct"]["sessions"]), (&json!(3), &json!(50.0)));
        let ids = |kind: &str| -> Vec<i64> {
            answer["recent"][kind].as_array().unwrap().iter().map(|one| one["id"].as_i64().unwrap()).collect()
        };
        assert_eq!(ids("conversations"), [1, 2, 3, 4, 5]);
        assert_eq!(ids("tickets"), [1, 2, 3, 4]);
        assert_eq!(
            answer["recent"]["leads"],
            json!([{"id": 1, "chatbot_id": 1, "captured_at": "2026-11-21T08:00:00Z"}])
        );
        let change = json!({"chatbot_id": 3, "version": 2, "origin": "update_chatbot_settings", "actor": "API key 1",
            "at": "2026-11-22T08:00:00Z"});
        assert_eq!(answer["recent"]["setting_changes"], json!([change]));
        assert_eq!(answer["untrusted"]["fields"][0], "/recent/conversations/*/first_question");
    }

    #[test]
    fn another_organisation_changes_nothing() {
        let mut shop = Shop::new();
        let before = shop.call("get_dashboard", json!({})).unwrap();
        let first = shop.tenant;
        shop.move_in("other");
        fill(&shop);
        shop.tenant = first;
        assert_eq!(shop.call("get_dashboard", json!({})).unwrap(), before);
    }

    #[test]
    fn long_texts_are_cut() {
        let check = |text: &str, expected: &str| assert_eq!(super::shown(text, true), expected);
        check("Where is it?", "Where is it?");
        check(&"ä".repeat(120), &"ä".repeat(120));
        check(&"ä".repeat(121), &format!("{}…", "ä".repeat(120)));
    }
}
