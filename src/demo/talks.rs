//! A year of conversations with a weekly rhythm, and what came of them: tickets and leads.

use serde_json::{Value, json};

use super::dice::Dice;
use super::shops::Shop;
use super::topics::{AGENTS, COUNTRIES, HOSTILE, NAMES, OTHER_LANGUAGES, TOPICS, Topic};
use crate::clock::{DAY, HOUR, MINUTE, SECOND, Time};

/// Days of the demo's history.
const DAYS: i64 = 365;
/// How busy a day is, Monday first, in percent of the average.
const WEEKDAYS: [i64; 7] = [118, 108, 102, 98, 104, 76, 94];
/// How likely each hour of the day (UTC) is.
const HOURS: [i64; 24] = [1, 1, 1, 1, 1, 2, 4, 7, 9, 11, 12, 11, 10, 10, 10, 9, 9, 10, 12, 13, 11, 8, 4, 2];

/// Hands every conversation, ticket and lead of `shop` to `put`, oldest first, as records of an import. The history
/// ends at `now`.
pub fn records<E>(shop: &Shop, now: Time, mut put: impl FnMut(Value) -> Result<(), E>) -> Result<(), E> {
    let mut history = History { shop, now, dice: Dice::new(shop.seed), conversations: 0 };
    let today = now.utc_day();
    for day in today - DAYS + 1..=today {
        for _ in 0..history.conversations_on(day) {
            for record in history.conversation(day) {
                put(record)?;
            }
        }
    }
    Ok(())
}

struct History<'a> {
    shop: &'a Shop,
    now: Time,
    dice: Dice,
    conversations: i64,
}

/// Who writes, from where, and about what: fills in the texts.
struct Scene {
    external_id: String,
    chatbot: &'static str,
    platform: &'static str,
    started: Time,
    name: &'static str,
    email: String,
    phone: String,
    country: &'static str,
    language: &'static str,
    product: &'static str,
    order: String,
    days: i64,
}

impl Scene {
    fn fill(&self, text: &str) -> String {
        text.replace("{product}", self.product)
            .replace("{order}", &self.order)
            .replace("{days}", &self.days.to_string())
            .replace("{name}", self.name)
            .replace("{email}", &self.email)
            .replace("{phone}", &self.phone)
    }
}

impl History<'_> {
    /// Weekday, season and luck decide; the weeks before Christmas are the busiest.
    fn conversations_on(&mut self, day: i64) -> i64 {
        // 1970-01-01 was a Thursday.
        let weekday = WEEKDAYS[(day + 3).rem_euclid(7) as usize];
        let date = Time(day * DAY).timestamp().to_zoned(jiff::tz::TimeZone::UTC).date();
        let season = match (date.month(), date.day()) {
            (11, 20..) | (12, ..=20) => 165,
            (1, ..=15) => 130,
            (7, _) => 115,
            (2, _) => 80,
            _ => 100,
        };
        let luck = self.dice.between(75, 125);
        (self.shop.daily * weekday * season * luck + 500_000) / 1_000_000
    }

    /// A conversation, and the ticket or lead that came of it.
    fn conversation(&mut self, day: i64) -> Vec<Value> {
        self.conversations += 1;
        let scene = self.scene(day);
        // Today's conversations that have not happened yet.
        if scene.started.plus(HOUR) > self.now {
            return Vec::new();
        }
        if self.dice.between(1, 700) == 1 {
            let order = self.one_of(HOSTILE).to_owned();
            return vec![self.told(&scene, vec![order], None)];
        }
        if scene.language != "en" && self.dice.chance(45) {
            let lines = OTHER_LANGUAGES
                .iter()
                .filter(|(language, ..)| *language == scene.language)
                .collect::<Vec<_>>();
            if let [_, ..] = lines[..] {
                let (_, question, answer) = **self.dice.pick(&lines);
                return vec![self.told(&scene, vec![scene.fill(question), scene.fill(answer)], None)];
            }
        }
        let weights: Vec<i64> = TOPICS.iter().map(|topic| topic.weight).collect();
        let topic = &TOPICS[self.dice.weighted(&weights)];
        self.about(topic, &scene)
    }

    fn about(&mut self, topic: &Topic, scene: &Scene) -> Vec<Value> {
        let mut lines = vec![scene.fill(self.one_of(topic.questions))];
        // A few are never answered: the visitor left, or the chatbot was down.
        if !self.dice.chance(4) {
            lines.push(scene.fill(self.one_of(topic.answers)));
            let follow_ups = self.dice.weighted(&[30, 50, 20]).min(topic.follow_ups.len());
            let first = self.dice.between(0, topic.follow_ups.len() as i64 - 1) as usize;
            for step in 0..follow_ups {
                let (question, answer) = topic.follow_ups[(first + step) % topic.follow_ups.len()];
                lines.extend([scene.fill(question), scene.fill(answer)]);
            }
        }
        let handed_over = self.dice.chance(if topic.complaint { 55 } else { 6 }) && lines.len() > 1;
        let shares_contact =
            lines.iter().any(|line| line.contains(&scene.email) || line.contains(&scene.phone));
        let agent = handed_over.then(|| *self.dice.pick(AGENTS));
        let mut records = vec![self.told(scene, lines, agent)];
        if handed_over || self.dice.chance(if topic.complaint { 30 } else { 2 }) {
            records.push(self.ticket(topic, scene));
        }
        if shares_contact || self.dice.chance(7) {
            records.push(self.lead(scene));
        }
        records
    }

    fn one_of(&mut self, texts: &[&'static str]) -> &'static str {
        self.dice.pick::<&'static str>(texts)
    }

    fn scene(&mut self, day: i64) -> Scene {
        let weights: Vec<i64> = self.shop.chatbots.iter().map(|bot| bot.weight).collect();
        let bot = &self.shop.chatbots[self.dice.weighted(&weights)];
        let hour = self.dice.weighted(&HOURS) as i64;
        let started = Time(day * DAY + hour * HOUR + self.dice.between(0, HOUR - 1) / SECOND * SECOND);
        let countries: Vec<i64> = COUNTRIES.iter().map(|(_, _, weight)| *weight).collect();
        let (country, language, _) = COUNTRIES[self.dice.weighted(&countries)];
        let name = *self.dice.pick(NAMES);
        let (product, ..) = *self.dice.pick(self.shop.products);
        let mailbox: String = name.to_lowercase().chars().filter(char::is_ascii_alphabetic).collect();
        Scene {
            external_id: format!("{}-c{}", self.shop.slug, self.conversations),
            chatbot: bot.id,
            platform: bot.platform,
            started,
            name,
            email: format!("{mailbox}{}@mail.example", self.dice.between(1, 99)),
            phone: format!("+49 151 {:04} {:04}", self.dice.between(0, 9_999), self.dice.between(0, 9_999)),
            country,
            language,
            product,
            order: format!("NW-{}", self.dice.between(100_000, 999_999)),
            days: self.dice.between(2, 9),
        }
    }

    /// The conversation's record: visitor and chatbot in turn; with `agent` a person answers last.
    fn told(&mut self, scene: &Scene, lines: Vec<String>, agent: Option<&str>) -> Value {
        let mut at = scene.started;
        let mut messages = Vec::new();
        for (place, text) in lines.into_iter().enumerate() {
            let role = if place % 2 == 0 { "visitor" } else { "assistant" };
            if place > 0 {
                let pause =
                    if role == "visitor" { self.dice.between(15, 240) } else { self.dice.between(2, 9) };
                at = at.plus(pause * SECOND);
            }
            messages.push(json!({"role": role, "text": text, "sent_at": at}));
        }
        let mut handed_over_at = Value::Null;
        if let Some(agent) = agent {
            handed_over_at = json!(at.plus(10 * SECOND));
            at = at.plus(self.dice.between(1, 25) * MINUTE);
            let text = format!(
                "Hi, {agent} from the service team here. I have read the conversation and take care of it."
            );
            messages.push(json!({"role": "agent", "text": text, "sent_at": at}));
        }
        let known = scene.platform != "web" || self.dice.chance(35);
        json!({
            "type": "conversation", "external_id": scene.external_id, "chatbot": scene.chatbot,
            "platform": scene.platform, "started_at": scene.started, "handed_over_at": handed_over_at,
            "visitor": {
                "name": known.then_some(scene.name),
                "email": (scene.platform == "web" && known).then_some(&scene.email),
                "phone": (scene.platform == "whatsapp").then_some(&scene.phone),
                "country": scene.country, "language": scene.language,
                "page": (scene.platform == "web").then(|| format!("{}/", self.shop.site)),
            },
            "messages": messages,
        })
    }

    fn ticket(&mut self, topic: &Topic, scene: &Scene) -> Value {
        let opened = scene.started.plus(self.dice.between(5, 40) * MINUTE).min(self.now);
        let agent = *self.dice.pick(AGENTS);
        let age_days = (self.now.0 - opened.0) / DAY;
        // What is young is open, what is old is closed; a few are forgotten.
        let reached = match age_days {
            0..=1 => self.dice.weighted(&[70, 25, 5]),
            2..=6 => self.dice.weighted(&[15, 50, 30, 5]),
            _ => self.dice.weighted(&[1, 2, 17, 80]),
        };
        let statuses = ["new", "in_progress", "resolved", "closed"];
        let mut at = opened;
        let mut history = vec![json!({"status": "new", "at": at})];
        let mut messages = vec![json!({"role": "customer", "author": scene.name, "sent_at": opened,
            "text": scene.fill(self.one_of(topic.questions))})];
        for (step, status) in statuses.iter().enumerate().take(reached + 1).skip(1) {
            at = at.plus(self.dice.between(30, 20 * 60) * MINUTE).min(self.now);
            history.push(json!({"status": status, "actor": agent, "at": at}));
            let text = match step {
                1 => format!(
                    "Hello {}, thank you for your patience. I am looking into order {} now.",
                    scene.name, scene.order
                ),
                2 => "It is solved: you will get a confirmation by e-mail today.".to_owned(),
                _ => continue,
            };
            messages.push(json!({"role": "agent", "author": agent, "text": text, "sent_at": at}));
        }
        let priority = ["low", "normal", "high", "urgent"]
            [self.dice.weighted(if topic.complaint { &[0, 35, 45, 20] } else { &[20, 65, 12, 3] })];
        json!({
            "type": "ticket", "external_id": format!("{}-t", scene.external_id), "chatbot": scene.chatbot,
            "conversation": scene.external_id, "subject": scene.fill(topic.subject), "status": statuses[reached],
            "priority": priority, "assignee": (reached > 0).then_some(agent),
            "contact": {"name": scene.name, "email": scene.email},
            "created_at": opened, "messages": messages, "status_history": history,
        })
    }

    fn lead(&mut self, scene: &Scene) -> Value {
        json!({
            "type": "lead", "external_id": format!("{}-l", scene.external_id), "chatbot": scene.chatbot,
            "conversation": scene.external_id, "name": scene.name, "email": scene.email,
            "phone": self.dice.chance(30).then_some(&scene.phone),
            "captured_at": scene.started.plus(self.dice.between(1, 10) * MINUTE).min(self.now),
        })
    }
}
