//! The apps that people connect with: entered, registering themselves, or described by a document; and what the server
//! publishes about itself for them.

use crate::cli::home_with_acme;

#[test]
fn the_operator_enters_apps() {
    let home = home_with_acme();
    let id =
        home.done("client add Conformance --redirect http://localhost/cb --redirect https://a.example/cb");
    assert!(id.starts_with("app_") && id.trim().len() == 26, "{id}");
    let ran = home.run("client add Robot --redirect https://a.example/cb --id robot-1 --secret basic");
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(ran.err.contains("shown this once"), "{}", ran.err);
    let (own, secret) = ran.out.trim().split_once('\n').unwrap();
    assert_eq!((own, secret.len()), ("robot-1", 43));
    let list = home.done("client list");
    for expected in [id.trim(), "Robot", "client_secret_basic", "http://localhost/cb https://a.example/cb"] {
        assert!(list.contains(expected), "{expected} is not in {list}");
    }
    assert!(!list.contains(secret));
    let refused = |arguments: &str, said: &str| home.refused(arguments, 2, said);
    refused("client add Bad --redirect http://evil.example/cb", "another machine");
    refused(
        "client add Bad --redirect https://a.example/cb --id https://a.example/c",
        "client_documents_dir",
    );
    refused("client add Bad --redirect https://a.example/cb --id dcr_1", "does not begin with dcr_");
    home.refused("client add Twin --redirect https://a.example/cb --id robot-1", 1, "already");
    assert_eq!(home.run("client add NoRedirect").code, 2);
    home.done("client remove robot-1");
    home.refused("client remove robot-1", 1, "There is no client");
}
