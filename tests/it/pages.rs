//! The dashboard through the real server, as a browser and the apps meet it.

mod apps;
mod chatbots;
mod consent;
mod keys;

use chaterimo::http::member_paths;
use chaterimo::store::organisation;
use chaterimo::store::user::Role;
use chaterimo::store::{TenantTx, chatbot};
use hyper::Method;
use serde_json::{Value, json};

use crate::accounts::{House, csrf};
use crate::support::{Reply, call};

/// What a name does that a page must not let it do.
const HOSTILE: &str = "<script>alert(1)</script>\"'&";

/// The organisations `acme` and `other`, with an owner each; `acme` has an analyst and the chatbots `main` and `second`.
fn house() -> House {
    let house = House::new();
    house.member("acme", "olivia@example.com", Role::Owner);
    house.member("acme", "ann@example.com", Role::Analyst);
    house.member("other", "oscar@example.com", Role::Owner);
    for name in ["main", "second"] {
        in_acme(&house, move |tx| {
            let new = json!({"external_id": name, "settings": {"name": name, "instructions": "Be kind.\nBe brief."}});
            chatbot::put(tx, &serde_json::from_value(new).unwrap(), crate::support::NOW)
        });
    }
    house
}

fn in_acme<T: Send + 'static>(
    house: &House,
    job: impl FnOnce(&TenantTx<'_>) -> chaterimo::error::Result<T> + Send + 'static,
) -> T {
    house.write(move |tx| job(&tx.tenant(organisation::named(tx, "acme")?.tenant)))
}

/// Calls a tool over MCP with a bearer credential.
fn mcp(house: &House, bearer: &str, tool: &str, arguments: &Value) -> Reply {
    let fields = format!("Authorization: Bearer {bearer}\r\n");
    house.server.ask(call("/mcp/", &fields, tool, &arguments.to_string()).as_bytes())
}

/// The data of a result.
fn data(reply: &Reply) -> Value {
    let body: Value = serde_json::from_str(&reply.body).unwrap();
    let data = body["result"]["structuredContent"].clone();
    assert!(data.is_object(), "{body}");
    data
}

/// Two answers that nobody can tell apart.
fn same(one: &Reply, other: &Reply) {
    assert_eq!((one.status, &one.body), (other.status, &other.body));
    assert_eq!(one.status, 404);
}

#[test]
fn an_analyst_sees_every_page_and_changes_nothing() {
    let house = house();
    let mut ann = house.signed_in("ann@example.com");
    for path in member_paths(Method::GET) {
        assert_eq!(ann.get(&path.replace("{id}", "1")).status, 200, "{path}");
    }
    let page = ann.get("/account");
    let fields = [("csrf", csrf(&page))];
    // What is everybody's own.
    let own = ["/account", "/apps/{id}/narrow", "/apps/{id}/revoke"];
    for path in member_paths(Method::POST).filter(|path| !own.contains(path)) {
        assert_eq!(ann.post(&path.replace("{id}", "1"), &fields).status, 403, "{path}");
    }
}
