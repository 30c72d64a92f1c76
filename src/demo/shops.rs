//! The two demo organisations: what they sell and which chatbots they run.

use serde_json::{Value, json};

/// A demo organisation.
pub struct Shop {
    /// Its slug.
    pub slug: &'static str,
    /// Its name.
    pub name: &'static str,
    /// Where its shop is.
    pub site: &'static str,
    /// Its chatbots.
    pub chatbots: &'static [Bot],
    /// What it sells: title, type, lowest price in EUR, words about it.
    pub products: &'static [(&'static str, &'static str, i64, &'static str)],
    /// Makers.
    pub vendors: &'static [&'static str],
    /// Colours or kinds that make variants.
    pub variants: &'static [&'static str],
    /// Conversations of an average day over all its chatbots.
    pub daily: i64,
    /// Whether it has no quota limits; else it is on the Free plan.
    pub unlimited: bool,
    /// The seed of its dice.
    pub seed: u64,
}

/// A chatbot of a demo organisation.
pub struct Bot {
    /// Its external id.
    pub id: &'static str,
    /// What people call it.
    pub name: &'static str,
    /// What it is for.
    pub description: &'static str,
    /// `web`, `whatsapp` or `messenger`.
    pub platform: &'static str,
    /// The model that answers.
    pub model: &'static str,
    /// In tenths.
    pub temperature: f64,
    /// A language, or `automatic`.
    pub language: &'static str,
    /// How closely it keeps to what it knows.
    pub strictness: &'static str,
    /// Its colour.
    pub color: &'static str,
    /// Its share of the conversations.
    pub weight: i64,
    /// Whether it is switched on.
    pub enabled: bool,
}

/// The shops: the first has no quota limits, the second is on the Free plan.
pub const SHOPS: &[Shop] = &[
    Shop {
        slug: "demo",
        name: "Northwind Outdoor",
        site: "https://northwind-outdoor.example",
        chatbots: &[
            Bot {
                id: "nw-web",
                name: "Northwind Assistant",
                description: "The main chatbot of the online shop.",
                platform: "web",
                model: "gpt-4o-mini",
                temperature: 0.7,
                language: "automatic",
                strictness: "balanced",
                color: "#0b6e4f",
                weight: 55,
                enabled: true,
            },
            Bot {
                id: "nw-whatsapp",
                name: "Northwind on WhatsApp",
                description: "Order status and returns by WhatsApp.",
                platform: "whatsapp",
                model: "gpt-4o",
                temperature: 0.4,
                language: "automatic",
                strictness: "strict",
                color: "#128c7e",
                weight: 25,
                enabled: true,
            },
            Bot {
                id: "nw-messenger",
                name: "Northwind on Messenger",
                description: "Answers on the Facebook page.",
                platform: "messenger",
                model: "claude-haiku-4-5",
                temperature: 0.5,
                language: "en",
                strictness: "balanced",
                color: "#0866ff",
                weight: 12,
                enabled: true,
            },
            Bot {
                id: "nw-b2b",
                name: "Club and Team Sales",
                description: "Bulk orders of clubs and companies.",
                platform: "web",
                model: "claude-sonnet-4-5",
                temperature: 0.3,
                language: "de",
                strictness: "strict",
                color: "#7a4e00",
                weight: 8,
                enabled: true,
            },
            Bot {
                id: "nw-outlet",
                name: "Outlet (paused)",
                description: "The chatbot of last season's outlet.",
                platform: "web",
                model: "gemini-2.5-flash",
                temperature: 0.6,
                language: "en",
                strictness: "relaxed",
                color: "#5c5470",
                weight: 0,
                enabled: false,
            },
        ],
        products: &[
            (
                "Trailhead 28L Backpack",
                "Backpacks",
                89,
                "Light daypack with rain cover, hip belt and room for a 3-litre bladder.",
            ),
            (
                "Summit 55L Trekking Pack",
                "Backpacks",
                179,
                "Ventilated back system and adjustable torso length for tours of several days.",
            ),
            (
                "Fjord 2P Tent",
                "Tents",
                249,
                "Freestanding tent for two, 1.9 kg, double wall, 3,000 mm water column.",
            ),
            ("Fjord 3P Tent", "Tents", 319, "Roomy tent for three with two vestibules."),
            (
                "Aurora Down Jacket",
                "Jackets",
                199,
                "800 fill power responsible down, packs into its own pocket.",
            ),
            (
                "Stormline Rain Jacket",
                "Jackets",
                149,
                "Three-layer shell, taped seams, pit zips, PFC-free coating.",
            ),
            (
                "Ridge Softshell Jacket",
                "Jackets",
                119,
                "Stretchy, windproof and breathable, for ski tours and autumn hikes.",
            ),
            (
                "Merino 200 Base Layer",
                "Base layers",
                69,
                "Mulesing-free merino wool that does not smell after days.",
            ),
            (
                "Cloudwalk Hiking Boots",
                "Footwear",
                159,
                "Mid-cut waterproof boots with a grippy rubber sole.",
            ),
            ("Swift Trail Runners", "Footwear", 129, "Light trail-running shoes with a rock plate."),
            (
                "Glacier Sleeping Bag -7",
                "Sleeping bags",
                229,
                "Down sleeping bag, comfort to -2 degrees, limit to -7.",
            ),
            ("Meadow Sleeping Mat", "Sleeping mats", 79, "Inflatable mat, R-value 3.2, 450 g."),
            ("Basecamp Gas Stove", "Cooking", 49, "Piezo ignition, boils half a litre in two minutes."),
            ("Titanium Pot 900 ml", "Cooking", 45, "Pot with folding handles, 110 g."),
            ("Beacon 400 Headlamp", "Lighting", 39, "400 lumens, USB-C, red light mode."),
            ("Trekking Poles Carbon", "Accessories", 99, "Foldable carbon poles with cork grips, pair."),
            ("Riverstone Water Filter", "Accessories", 35, "Hollow-fibre filter for 1,000 litres."),
            ("Café Thermos 0.75 l", "Accessories", 29, "Keeps drinks hot for 18 hours. The crema stays."),
            ("Alpine Wool Socks", "Accessories", 19, "Cushioned merino socks, two pairs."),
            ("Wanderlust Kids Backpack", "Kids", 39, "12-litre pack with chest strap and name tag."),
            ("Polar Fleece Kids", "Kids", 45, "Soft recycled fleece with a full zip."),
            ("Summer Hiking Shorts", "Trousers", 59, "Quick-drying shorts with a zip pocket."),
            (
                "Ranger Zip-Off Trousers",
                "Trousers",
                89,
                "Trousers that become shorts, with sun protection 50.",
            ),
            ("Gift Card", "Gift cards", 25, "For everyone who has everything. Delivered by e-mail."),
        ],
        vendors: &["Northwind", "Fjällspår", "Cumulus Works", "Terra & Co"],
        variants: &["S", "M", "L", "XL"],
        daily: 11,
        unlimited: true,
        seed: 0x0C1A_7E21_0001,
    },
    Shop {
        slug: "demo-free",
        name: "Lumen Candle Studio",
        site: "https://lumen-candles.example",
        chatbots: &[
            Bot {
                id: "lumen-web",
                name: "Lumi",
                description: "Helps to find the right scent.",
                platform: "web",
                model: "gpt-4o-mini",
                temperature: 0.8,
                language: "automatic",
                strictness: "relaxed",
                color: "#b5651d",
                weight: 80,
                enabled: true,
            },
            Bot {
                id: "lumen-whatsapp",
                name: "Lumi on WhatsApp",
                description: "Order status by WhatsApp.",
                platform: "whatsapp",
                model: "gpt-4o-mini",
                temperature: 0.5,
                language: "en",
                strictness: "balanced",
                color: "#8c4a2f",
                weight: 20,
                enabled: true,
            },
        ],
        products: &[
            ("Cedar & Smoke Candle", "Candles", 28, "Soy wax, cotton wick, burns for 45 hours."),
            ("Lavender Fields Candle", "Candles", 26, "Calming scent of Provence."),
            ("Winter Orange Candle", "Candles", 28, "Orange, clove and a little cinnamon."),
            ("Beeswax Pillar", "Candles", 18, "Pure beeswax from the Alps."),
            ("Wick Trimmer", "Accessories", 15, "Keeps the flame calm and the glass clean."),
            ("Discovery Box", "Sets", 39, "Six small candles to find your favourite."),
        ],
        vendors: &["Lumen"],
        variants: &["120 g", "220 g"],
        daily: 2,
        unlimited: false,
        seed: 0x0C1A_7E21_0002,
    },
];

impl Shop {
    /// The chatbots as records of an import.
    pub fn chatbot_records(&self) -> impl Iterator<Item = Value> {
        self.chatbots.iter().enumerate().map(|(place, bot)| {
            json!({
                "type": "chatbot", "external_id": bot.id, "platform": bot.platform, "is_primary": place == 0, "settings": {
                "name": bot.name, "description": bot.description, "enabled": bot.enabled, "model": bot.model,
                "temperature": bot.temperature, "language": bot.language, "strictness": bot.strictness,
                "instructions": self.instructions(bot),
                "primary_color": bot.color, "background_color": "#ffffff", "text_color": "#1f2933",
                "position": if place == 2 { "left" } else { "right" },
                "bubble_style": if place == 1 { "minimal" } else { "rounded" },
                "welcome_message": format!("Hi, I am {}. How can I help you today?", bot.name),
                "input_placeholder": "Type your question …", "thinking_label": "One moment …", "submit_label": "Send" },
            })
        })
    }

    /// A chatbot's record with the settings it had at first, for the history of its settings to begin with.
    pub fn as_it_began(&self, mut chatbot: Value) -> Value {
        chatbot["settings"]["temperature"] = json!(0.9);
        chatbot["settings"]["instructions"] =
            json!(format!("You are the assistant of {}. Answer questions.", self.name));
        chatbot
    }

    fn instructions(&self, bot: &Bot) -> String {
        let Shop { name, site, .. } = self;
        format!(
            "You are {bot}, the assistant of {name} ({site}).\n\
             {purpose}\n\n\
             How to answer:\n\
             - Be friendly and brief: two or three sentences, then a question or a next step.\n\
             - Answer only from the product catalogue, the documents and the shop's policies you are given.\n\
             - If you do not know, say so and offer to open a ticket. Never invent prices, stock or delivery dates.\n\
             - Recommend at most three products, each with its price and link.\n\
             - Ask for the order number before you talk about an order.\n\
             - Never ask for passwords or card numbers.\n\n\
             Returns: 30 days, free within the EU, item unused. Refunds take five to seven working days.\n\
             Shipping: Germany two to three days, EU three to six, elsewhere up to twelve.\n\
             Free shipping above 60 EUR.\n\n\
             Hand over to a person when:\n\
             - the visitor asks for one, or is angry,\n\
             - something arrived damaged or not at all,\n\
             - money is missing.\n\n\
             Sign off with the name of the shop.",
            bot = bot.name,
            purpose = bot.description,
        )
    }

    /// The catalogue as records of an import.
    pub fn product_records(&self) -> impl Iterator<Item = Value> {
        self.products.iter().enumerate().map(|(place, (title, kind, price, words))| {
            let handle = handle(title);
            let sold_out = place % 9 == 4;
            let variants: Vec<Value> = self.variants.iter().enumerate().map(|(step, variant)| {
                json!({
                    "sku": format!("{}-{:03}-{}", self.slug[..2].to_uppercase(), place + 1, step + 1),
                    "title": variant, "price": price + step as i64 * 2, "available": !sold_out && (place + step) % 5 != 3,
                })
            }).collect();
            json!({
                "type": "product", "external_id": format!("{}-{handle}", self.slug), "source": "shop", "handle": handle,
                "title": title, "description": words, "vendor": self.vendors[place % self.vendors.len()],
                "product_type": kind, "tags": format!("{}, {}", kind.to_lowercase(), if place % 3 == 0 { "bestseller" } else { "new" }),
                "currency": "EUR", "url": format!("{}/products/{handle}", self.site), "variants": variants,
            })
        })
    }

    /// What the chatbots know beside the catalogue.
    pub fn document_records(&self) -> Vec<Value> {
        let document = |id: &str, kind: &str, title: &str, text: &str| {
            json!({"type": "document", "external_id": format!("{}-{id}", self.slug), "kind": kind, "title": title,
                   "url": format!("{}/pages/{id}", self.site), "text": text})
        };
        vec![
            document(
                "returns",
                "document",
                "Returns and refunds",
                "Unused items can be returned within 30 days. Start a return under Orders, print the label, and drop the parcel at any pick-up point. Returns are free within the EU. Refunds arrive five to seven working days after the parcel reaches us.",
            ),
            document(
                "shipping",
                "document",
                "Shipping",
                "Germany: 4.90 EUR, two to three working days. EU: 9.90 EUR, three to six. Rest of the world: 19.90 EUR, up to twelve. Free shipping above 60 EUR within Germany. Orders before 14:00 leave the same day.",
            ),
            document(
                "care",
                "document",
                "Care guide",
                "Wash at 30 degrees without softener. Renew coatings after about ten washes. Store down loosely, never compressed.",
            ),
            document(
                "payment",
                "document",
                "Payment",
                "We accept card, PayPal, instant transfer, and invoice from the second order on. A failed payment is released by the bank within three days.",
            ),
            document(
                "tone",
                "custom",
                "Tone of voice",
                "Warm, plain, never pushy. Say 'you' in English and 'Sie' in German.",
            ),
        ]
    }

    /// The rules of the sales agent.
    pub fn rule_records(&self) -> Vec<Value> {
        let rule = |id: &str,
                    name: &str,
                    kind: &str,
                    value: &str,
                    message: &str,
                    active: bool,
                    shown: i64,
                    accepted: i64| {
            json!({"type": "sales_rule", "external_id": format!("{}-{id}", self.slug), "chatbot": self.chatbots[0].id, "name": name,
                   "trigger": kind, "value": value, "message": message, "active": active,
                   "times_shown": shown, "times_accepted": accepted})
        };
        vec![
            rule(
                "hesitate",
                "Hesitating visitor",
                "time_on_page",
                "45",
                "Can I help you choose? I know every product by heart.",
                true,
                4_210,
                612,
            ),
            rule(
                "leaving",
                "About to leave",
                "exit_intent",
                "",
                "Before you go: 10% off your first order with WELCOME10.",
                true,
                2_904,
                377,
            ),
            rule(
                "basket",
                "Close to free shipping",
                "cart_value",
                "45",
                "Only a little more for free shipping. May I suggest something small?",
                true,
                1_377,
                298,
            ),
            rule(
                "back",
                "Welcome back",
                "returning_visitor",
                "2",
                "Nice to see you again! Still thinking about the same item?",
                true,
                1_905,
                241,
            ),
            rule(
                "summer",
                "Summer sale",
                "page_url",
                "/collections/summer",
                "The summer sale ends on Sunday.",
                false,
                8_120,
                903,
            ),
        ]
    }
}

/// A title as shops write it in URLs.
fn handle(title: &str) -> String {
    let plain = title.to_lowercase().replace('é', "e").replace('&', "and");
    let words: Vec<&str> =
        plain.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty()).collect();
    words.join("-")
}
