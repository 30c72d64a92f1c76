//! `get_analytics`: sessions, messages, rates and their course over a period of days, for one chatbot or ranked for all.

use std::collections::HashMap;

use jiff::civil::{Date, Weekday};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::figures::{self, Change, Figures, Platform};
use super::period::{self, Period, Wanted};
use super::{Cx, Effect, Json, Refusal, Spec, page, schema};
use crate::clock::Time;
use crate::store::analytics::{self, Count, Group, Tally};
use crate::store::chatbot;

/// The tool.
pub struct Tool;

/// Its arguments.
#[derive(Deserialize)]
pub struct Args {
    chatbot_id: Option<i64>,
    days: Option<i64>,
    period: Option<String>,
    from: Option<String>,
    to: Option<String>,
    timezone: Option<String>,
}

impl super::Tool for Tool {
    const SPEC: Spec = Spec {
        name: "get_analytics",
        title: "Get analytics",
        about: "Sessions, messages, response rate, first response time, hand-over rate, platforms and a daily series \
                over 1-365 days, with the change against the period before. Without chatbot_id it ranks every chatbot \
                by sessions in this one call. Name the period by days, period, or from/to (default: last 30 days, \
                today included). Rates are fractions of 1.",
        effect: Effect::Read,
        untrusted: &[],
    };
    type Args = Args;

    fn input() -> Value {
        let day = || json!({"type": "string", "format": "date"});
        schema::input(
            json!({
                "chatbot_id": {"type": "integer", "minimum": 1},
                "days": {"type": "integer", "minimum": 1, "maximum": period::DAYS_MAX},
                "period": {"type": "string", "enum": ["7d", "30d", "90d", "365d"]},
                "from": day(),
                "to": day(),
                "timezone": {"type": "string", "maxLength": 64, "description": "IANA name; default the organisation's"}
            }),
            &[],
        )
    }

    fn output() -> Value {
        json!({
            "type": "object",
            "properties": {
                "chatbot": {"type": "object"}, "period": {"type": "object"}, "totals": {"type": "object"},
                "change_pct": {"type": "object"}, "previous": {"type": "object"}, "platforms": {"type": "array"},
                "chatbots": {"type": "array"}, "chatbots_left_out": {"type": "integer"},
                "granularity": {"enum": ["day", "week"]}, "series": {"type": "array"}
            },
            "required": ["period", "totals", "previous", "series"]
        })
    }

    fn run(cx: &Cx<'_>, args: Args) -> Result<Json, Refusal> {
        let zone = match &args.timezone {
            Some(name) => period::zone(name)?,
            None => period::zone_of_organisation(cx)?,
        };
        let (from, to) = (args.from.as_deref(), args.to.as_deref());
        let wanted = Wanted { days: args.days, period: args.period.as_deref(), from, to };
        let period = Period::of(&wanted, zone, cx.now)?;
        let counted = Counted::of(cx, &period, args.chatbot_id)?;
        let answer = match args.chatbot_id {
            Some(id) => Answer { chatbot: Some(named(cx, id)?), ..counted.answer(cx, &period)? },
            None => counted.with_ranking(cx, &period)?,
        };
        Json::of(&answer)
    }
}

#[derive(Serialize)]
struct Answer {
    #[serde(skip_serializing_if = "Option::is_none")]
    chatbot: Option<Named>,
    period: Value,
    totals: Figures,
    change_pct: Change,
    previous: Previous,
    platforms: Vec<Platform>,
    #[serde(skip_serializing_if = "Option::is_none")]
    chatbots: Option<Vec<Ranked>>,
    /// Chatbots of the fewest sessions, which the result has no room for.
    #[serde(skip_serializing_if = "Option::is_none")]
    chatbots_left_out: Option<usize>,
    granularity: &'static str,
    series: Vec<Point>,
}

#[derive(Serialize)]
struct Named {
    id: i64,
    name: String,
}

/// The period before, up to the moment that is compared with now.
#[derive(Serialize)]
struct Previous {
    from: String,
    to: String,
    until: Time,
    #[serde(flatten)]
    figures: Figures,
}

#[derive(Serialize)]
struct Ranked {
    id: i64,
    name: String,
    sessions: i64,
    messages: i64,
    /// Of all sessions of the period.
    share: Option<f64>,
    response_rate: Option<f64>,
    handover_rate: Option<f64>,
    /// Of its sessions.
    change_pct: Option<f64>,
}

/// A day, or the days from `date` to the next Sunday.
#[derive(Serialize)]
struct Point {
    date: String,
    sessions: i64,
    messages: i64,
}

/// What the database says of the period and of the one before.
struct Counted {
    now: Vec<Group>,
    before: Vec<Group>,
    previous: (Period, Time),
    days: Vec<Count>,
}

impl Counted {
    fn of(cx: &Cx<'_>, period: &Period, chatbot: Option<i64>) -> Result<Counted, Refusal> {
        let borders = period.borders()?;
        let (first, last) = (borders[0], borders[borders.len() - 1]);
        let (earlier, start, until) = period.before(cx.now)?;
        Ok(Counted {
            now: analytics::groups(cx.tx, first, last, chatbot)?,
            before: analytics::groups(cx.tx, start, until, chatbot)?,
            previous: (earlier, until),
            days: analytics::series(cx.tx, &borders, chatbot)?,
        })
    }

    /// All but the chatbots, day by day.
    fn answer(&self, cx: &Cx<'_>, period: &Period) -> Result<Answer, Refusal> {
        let (now, before) = (figures::sum(&self.now), figures::sum(&self.before));
        let (earlier, until) = &self.previous;
        let mut described = period.describe();
        described["complete"] = period.is_complete(cx.now)?.into();
        Ok(Answer {
            chatbot: None,
            period: described,
            totals: Figures::of(&now),
            change_pct: Change::between(&before, &now),
            previous: Previous {
                from: earlier.first_day().to_string(),
                to: earlier.last_day().to_string(),
                until: *until,
                figures: Figures::of(&before),
            },
            platforms: figures::platforms(&self.now),
            chatbots: None,
            chatbots_left_out: None,
            granularity: "day",
            series: points(period.dates(), &self.days, |_| true),
        })
    }

    /// With every chatbot, ranked; week by week, and without the last of them, when there are too many.
    fn with_ranking(&self, cx: &Cx<'_>, period: &Period) -> Result<Answer, Refusal> {
        let mut answer = self.answer(cx, period)?;
        let mut ranked = self.ranked(cx)?;
        let budget = page::items_budget(cx);
        if chars(&answer.series)? + chars(&ranked)? > budget {
            answer.granularity = "week";
            answer.series = points(period.dates(), &self.days, |date| date.weekday() == Weekday::Monday);
            let kept = fitting(&ranked, budget.saturating_sub(chars(&answer.series)?))?;
            answer.chatbots_left_out = (kept < ranked.len()).then(|| ranked.len() - kept);
            ranked.truncate(kept);
        }
        answer.chatbots = Some(ranked);
        Ok(answer)
    }

    /// Every chatbot, those of the most sessions first.
    fn ranked(&self, cx: &Cx<'_>) -> Result<Vec<Ranked>, Refusal> {
        let (now, before) = (by_chatbot(&self.now), by_chatbot(&self.before));
        let all = figures::sum(&self.now).sessions;
        let mut ranked = Vec::new();
        chatbot::each(cx.tx, None, i64::MAX, |chatbot| {
            let tally = now.get(&chatbot.id).copied().unwrap_or_default();
            let earlier = before.get(&chatbot.id).copied().unwrap_or_default();
            let figures = Figures::of(&tally);
            ranked.push(Ranked {
                id: chatbot.id,
                name: chatbot.name.to_owned(),
                sessions: tally.sessions,
                messages: tally.messages,
                share: figures::rate(tally.sessions, all),
                response_rate: figures.response_rate,
                handover_rate: figures.handover_rate,
                change_pct: figures::change_pct(earlier.sessions, tally.sessions),
            });
            Ok(())
        })?;
        ranked.sort_by_key(|one| (-one.sessions, -one.messages, one.id));
        Ok(ranked)
    }
}

fn by_chatbot(groups: &[Group]) -> HashMap<i64, Tally> {
    let mut found: HashMap<i64, Tally> = HashMap::new();
    for group in groups {
        *found.entry(group.chatbot).or_default() += group.tally;
    }
    found
}

/// The counts of days, a new point at the first of them and wherever `begins` says.
fn points(dates: impl Iterator<Item = Date>, days: &[Count], begins: impl Fn(Date) -> bool) -> Vec<Point> {
    let mut points: Vec<Point> = Vec::new();
    for (date, count) in dates.zip(days) {
        match points.last_mut() {
            Some(point) if !begins(date) => {
                point.sessions += count.sessions;
                point.messages += count.messages;
            }
            _ => points.push(Point {
                date: date.to_string(),
                sessions: count.sessions,
                messages: count.messages,
            }),
        }
    }
    points
}

fn named(cx: &Cx<'_>, id: i64) -> Result<Named, Refusal> {
    let found = chatbot::get(cx.tx, id)?;
    let found = found.ok_or_else(|| Refusal::not_found("chatbot", id, "list_chatbots"))?;
    Ok(Named { id, name: found.settings.name })
}

/// How many of `items`, from the first on, fit into `budget` characters.
fn fitting(items: &[Ranked], budget: usize) -> Result<usize, Refusal> {
    let mut used = 0;
    for (place, item) in items.iter().enumerate() {
        used += chars(item)? + 1;
        if used > budget {
            return Ok(place);
        }
    }
    Ok(items.len())
}

fn chars(value: &impl Serialize) -> Result<usize, Refusal> {
    Ok(Json::of(value)?.into_text().chars().count())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::clock::{DAY, HOUR, MINUTE, Time};
    use crate::store::conversation::{self, NewConversation};
    use crate::store::testing::{self, Talk};
    use crate::tools::testing::{NOW, Shop};

    /// A shop with chatbots 1 to `chatbots` and these conversations.
    fn fill(shop: &Shop, chatbots: i64, talks: Vec<Talk>) {
        shop.seed(move |tx| {
            (1..=chatbots).try_for_each(|id| testing::chatbot(tx, id, &format!("Bot {id}")))?;
            (1..).zip(&talks).try_for_each(|(id, talk)| testing::put(tx, id, talk))
        });
    }

    fn at(text: &str) -> Talk {
        Talk::at(Time::parse(text).unwrap())
    }

    #[test]
    fn an_empty_organisation_has_nothing_and_divides_by_nothing() {
        let answer = Shop::new().call("get_analytics", json!({"days": 1})).unwrap();
        let figures = json!({"sessions": 0, "messages": 0, "response_rate": null, "avg_first_response_ms": null,
            "handover_rate": null});
        let mut previous = json!({"from": "2026-11-21", "to": "2026-11-21", "until": "2026-11-21T08:00:00Z"});
        previous.as_object_mut().unwrap().extend(figures.as_object().unwrap().clone());
        let expected = json!({
            "period": {"from": "2026-11-22", "to": "2026-11-22", "days": 1, "timezone": "UTC", "complete": false},
            "totals": figures, "change_pct": {"sessions": null, "messages": null}, "previous": previous,
            "platforms": [], "chatbots": [], "granularity": "day",
            "series": [{"date": "2026-11-22", "sessions": 0, "messages": 0}]
        });
        assert_eq!(answer, expected);
    }

    #[test]
    fn every_chatbot_is_ranked_by_sessions() {
        let shop = Shop::new();
        let of = |chatbot, ago: i64, platform| Talk { chatbot, platform, ..Talk::at(NOW.plus(-ago)) };
        let unanswered = Talk { first_response_ms: None, ..of(2, 2 * DAY, "whatsapp") };
        let handed_over = Talk { handed_over: true, first_response_ms: Some(3_000), ..of(2, HOUR, "web") };
        let before = [of(1, 8 * DAY, "web"), of(1, 9 * DAY, "web")];
        let now = [of(1, DAY, "web"), unanswered, handed_over];
        fill(&shop, 3, before.into_iter().chain(now).collect());
        let answer = shop.call("get_analytics", json!({"period": "7d"})).unwrap();
        assert_eq!(
            answer["totals"],
            json!({"sessions": 3, "messages": 6, "response_rate": 0.6667, "avg_first_response_ms": 2000,
                "handover_rate": 0.3333})
        );
        assert_eq!(answer["change_pct"], json!({"sessions": 50.0, "messages": 50.0}));
        assert_eq!(answer["previous"]["sessions"], 2);
        let ranked = |id, name: &str, sessions, share, response: Value, handover: Value, change: Value| {
            json!({"id": id, "name": name, "sessions": sessions, "messages": sessions * 2, "share": share,
                "response_rate": response, "handover_rate": handover, "change_pct": change})
        };
        let expected = json!([
            ranked(2, "Bot 2", 2, 0.6667, json!(0.5), json!(0.5), Value::Null),
            ranked(1, "Bot 1", 1, 0.3333, json!(1.0), json!(0.0), json!(-50.0)),
            ranked(3, "Bot 3", 0, 0.0, Value::Null, Value::Null, Value::Null),
        ]);
        assert_eq!(answer["chatbots"], expected);
        let platform = |name: &str, sessions, share| json!({"platform": name, "sessions": sessions, "messages": sessions * 2, "share": share});
        assert_eq!(answer["platforms"], json!([platform("web", 2, 0.6667), platform("whatsapp", 1, 0.3333)]));
    }

    #[test]
    fn a_conversation_that_goes_on_is_counted_anew() {
        let shop = Shop::new();
        fill(&shop, 1, vec![]);
        let message = |role: &str, minute: i64| {
            let sent_at = NOW.plus(minute * MINUTE - HOUR);
            json!({"role": role, "text": format!("{role} {minute}"), "sent_at": sent_at})
        };
        let talk = [message("visitor", 0), message("assistant", 1), message("agent", 2)];
        let check = |messages: &[Value], response_rate: f64, handover_rate: f64| {
            let new = json!({"external_id": "c-1", "chatbot": "bot-1", "messages": messages});
            let new: NewConversation = serde_json::from_value(new).unwrap();
            shop.seed(move |tx| conversation::put(tx, &new, NOW));
            let answer = shop.call("get_analytics", json!({"days": 1})).unwrap();
            let totals = &answer["totals"];
            assert_eq!((&totals["sessions"], &totals["messages"]), (&json!(1), &json!(messages.len())));
            assert_eq!(
                (&totals["response_rate"], &totals["handover_rate"]),
                (&json!(response_rate), &json!(handover_rate))
            );
        };
        check(&talk[..1], 0.0, 0.0);
        check(&talk[..2], 1.0, 0.0);
        check(&talk, 1.0, 1.0);
    }

    #[test]
    fn one_chatbot_alone_and_only_ours() {
        let mut shop = Shop::new();
        fill(&shop, 3, vec![Talk { chatbot: 3, ..Talk::at(NOW.plus(-HOUR)) }]);
        shop.move_in("other");
        let talks = (1..=2).map(|chatbot| Talk { chatbot, ..Talk::at(NOW.plus(-HOUR)) });
        fill(&shop, 2, talks.collect());
        let answer = shop.call("get_analytics", json!({"chatbot_id": "1", "days": 7})).unwrap();
        assert_eq!(answer["chatbot"], json!({"id": 1, "name": "Bot 1"}));
        assert_eq!(answer["totals"]["sessions"], 1);
        assert_eq!(answer.get("chatbots"), None);
        assert_eq!(answer["series"].as_array().unwrap().len(), 7);
        assert_eq!(answer["series"][6], json!({"date": "2026-11-22", "sessions": 1, "messages": 2}));
        let refusal = shop.call("get_analytics", json!({"chatbot_id": 3})).unwrap_err();
        assert_eq!(refusal.code, "not_found");
    }

    #[test]
    fn a_conversation_lies_on_the_day_of_the_zone() {
        let shop = Shop::new();
        let moments =
            ["2026-11-01T03:59:59Z", "2026-11-01T04:00:00Z", "2026-11-02T04:59:59Z", "2026-11-02T05:00:00Z"];
        fill(&shop, 1, moments.map(at).to_vec());
        let check = |timezone: &str, expected: [i64; 4]| {
            let asked = json!({"from": "2026-10-31", "to": "2026-11-03", "timezone": timezone});
            let answer = shop.call("get_analytics", asked).unwrap();
            let days: Vec<i64> = answer["series"]
                .as_array()
                .unwrap()
                .iter()
                .map(|day| day["sessions"].as_i64().unwrap())
                .collect();
            assert_eq!(days, expected, "{timezone}");
            assert_eq!(answer["totals"]["sessions"], expected.iter().sum::<i64>());
            assert_eq!(answer["period"]["timezone"], timezone);
        };
        check("UTC", [0, 2, 2, 0]);
        // A day of 25 hours.
        check("America/New_York", [1, 2, 1, 0]);
        check("Asia/Kathmandu", [0, 2, 2, 0]);
        // Midnight in Honolulu is 10:00 UTC.
        check("Pacific/Honolulu", [2, 2, 0, 0]);
    }

    #[test]
    fn borders_on_the_half_hour_and_the_quarter_are_exact() {
        let shop = Shop::new();
        let check = |timezone: &str, midnight: &str| {
            let midnight = Time::parse(midnight).unwrap();
            fill(
                &shop,
                1,
                vec![Talk::at(midnight.plus(-1)), Talk::at(midnight), Talk::at(midnight.plus(MINUTE))],
            );
            let asked = json!({"from": "2026-10-03", "to": "2026-10-04", "timezone": timezone});
            let answer = shop.call("get_analytics", asked).unwrap();
            let days = (&answer["series"][0]["sessions"], &answer["series"][1]["sessions"]);
            assert_eq!(days, (&json!(1), &json!(2)), "{timezone}");
        };
        check("Asia/Kathmandu", "2026-10-03T18:15:00Z");
        check("Australia/Lord_Howe", "2026-10-03T13:30:00Z");
        check("Asia/Kolkata", "2026-10-03T18:30:00Z");
    }

    #[test]
    fn a_year_of_days_fits_and_many_chatbots_make_it_weeks() {
        let shop = Shop::new();
        let busy = |day: i64| Talk { messages: 2_000_000, ..Talk::at(NOW.plus(-day * DAY)) };
        fill(&shop, 4, (0..365).map(busy).collect());
        let answer = shop.call("get_analytics", json!({"days": 365})).unwrap();
        assert_eq!(answer["granularity"], "day");
        assert_eq!(answer["series"].as_array().unwrap().len(), 365);
        assert_eq!(answer["totals"]["sessions"], 365);

        fill(&shop, 300, vec![]);
        let answer = shop.call("get_analytics", json!({"days": 365})).unwrap();
        assert_eq!(answer["granularity"], "week");
        let weeks = answer["series"].as_array().unwrap();
        assert_eq!(
            (weeks.len(), &weeks[1]["date"], &weeks[1]["sessions"]),
            (53, &json!("2025-11-24"), &json!(7))
        );
        let (shown, left_out) =
            (answer["chatbots"].as_array().unwrap().len(), answer["chatbots_left_out"].as_u64());
        assert_eq!(shown as u64 + left_out.unwrap(), 300);
        assert!(shown > 100, "{shown}");
    }

    #[test]
    fn what_it_cannot_answer_it_refuses_by_name() {
        let shop = Shop::new();
        let check = |asked: Value, expected: &str| {
            let refusal = shop.call("get_analytics", asked).unwrap_err();
            assert_eq!(refusal.code, "invalid_arguments");
            assert!(refusal.message.starts_with(expected), "{}", refusal.message);
        };
        check(json!({"days": 366}), "days: came 366; wanted a whole number from 1 to 365.");
        check(json!({"days": 0}), "days: came 0;");
        check(json!({"period": "14d"}), "period: came \"14d\"; wanted one of 7d, 30d, 90d, 365d.");
        check(
            json!({"timezone": "Mars/Olympus"}),
            "timezone: came \"Mars/Olympus\"; wanted an IANA time zone",
        );
        check(json!({"timezone": "../../etc/passwd"}), "timezone: came");
        check(
            json!({"from": "2025-01-01", "to": "2026-01-01"}),
            "from, to: came 2025-01-01 to 2026-01-01, 366 days",
        );
        check(json!({"from": "yesterday"}), "from: came \"yesterday\"; wanted a day");
        check(json!({"to": "2026-11-22T08:00:00Z"}), "to: came");
        check(json!({"days": 7, "from": "2026-11-01"}), "days, period, from:");
    }
}
