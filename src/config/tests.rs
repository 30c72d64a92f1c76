use super::*;

fn pairs(text: &str) -> Vec<(&str, String)> {
    text.split_whitespace().filter_map(|pair| pair.split_once('=')).map(|(k, v)| (k, v.to_owned())).collect()
}

/// Loads with `name=value` flags, `NAME=value` variables (CHATERIMO_ left out) and the text of a file.
fn load(flags: &str, variables: &str, file: &str) -> Result<Config> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("settings.toml");
    std::fs::write(&path, file).unwrap();
    let name = |name: &str| SETTINGS.iter().find(|setting| setting.name == name).unwrap().name;
    let values = pairs(flags).into_iter().map(|(key, value)| (name(key), value)).collect();
    let mut environment: std::collections::BTreeMap<_, _> =
        pairs(variables).into_iter().map(|(key, value)| (format!("CHATERIMO_{key}"), value)).collect();
    environment.insert("HOME".to_owned(), "/home/ada".to_owned());
    Config::load(&Flags { file: Some(path), values }, &Environment(environment))
}

#[test]
fn flag_beats_variable_beats_file_beats_default() {
    let check = |flags: &str, variables: &str, file: &str, setting: &str, value: &str, origin: &str| {
        let config = load(flags, variables, file).unwrap();
        let row = config.rows.iter().find(|row| row.setting.name == setting).unwrap();
        assert_eq!(row.text, value, "{flags} {variables} {file}");
        assert!(row.origin.to_string().ends_with(origin), "{} is not {origin}", row.origin);
    };
    check("", "", "", "listen", "127.0.0.1:8787", "default");
    check("", "", "listen = '[::1]:1'", "listen", "[::1]:1", "settings.toml");
    check("", "LISTEN=[::1]:2", "listen = '[::1]:1'", "listen", "[::1]:2", "variable CHATERIMO_LISTEN");
    check("listen=[::1]:3", "LISTEN=[::1]:2", "listen = '[::1]:1'", "listen", "[::1]:3", "flag --listen");
    check("", "LISTEN=", "listen = '[::1]:1'", "listen", "[::1]:1", "settings.toml");
    check("", "", "", "data_dir", "/home/ada/.local/share/chaterimo", "default");
    check("", "", "shutdown_seconds = 3", "shutdown_seconds", "3", "settings.toml");
    check("", "", "read_only = true", "read_only", "true", "settings.toml");
    check("", "", "models = ['a-1', 'b:2']", "models", "a-1,b:2", "settings.toml");
    check("tls_cert=c.pem", "TLS_CERT=d.pem", "", "tls_cert", "c.pem", "flag --tls-cert");
}

#[test]
fn what_does_not_parse_is_named() {
    let check = |flags: &str, variables: &str, file: &str, said: &str| {
        let error = load(flags, variables, file).unwrap_err();
        assert_eq!(error.kind, crate::error::Kind::Config);
        assert!(error.public.contains(said), "{} lacks {said}", error.public);
    };
    check("listen=8787", "", "", r#"listen is "8787" (from flag --listen); wanted is an address and port"#);
    check(
        "",
        "READ_ONLY=yes",
        "",
        r#"read_only is "yes" (from variable CHATERIMO_READ_ONLY); wanted is true or"#,
    );
    check("", "", "max_body_bytes = 12", r#"max_body_bytes is "12""#);
    check("", "", "max_body_bytes = -1", "a whole number from 1024 to 1048576");
    check("", "SESSION_IDLE_DAYS=0", "", "a whole number from 1 to 3650");
    check("", "", "lissten = '[::1]:1'", r#"sets "lissten", which is no setting"#);
    check("", "", "[serve]\nlisten = '[::1]:1'", r#"sets "serve", which is no setting"#);
    check("", "", "shutdown_seconds = 1.5", "shutdown_seconds in");
    check("", "", "models = ['a,b']", "models in");
    check("", "", "listen = ", "is not TOML");
    check("", "", "log_format = 'xml'", "text or json");
    check("", "PUBLIC_URL=https://a.example/mcp", "", "a URL without path");
    check("", "PUBLIC_URL=https://u:p@a.example", "", "a URL without path");
    check("", "PUBLIC_URL=ftp://a.example", "", "a URL without path");
    check("", "TRUSTED_PROXIES=10.0.0.0/33", "", "an address or network");
    check("", "ALLOWED_HOSTS=a.example:80", "", "a host name without port");
    check("", "ALLOWED_ORIGINS=a.example", "", "an origin such as");
}

#[test]
fn a_secret_is_never_said() {
    let error = load("", "API_KEY=cha_käse", "").unwrap_err();
    assert!(!error.public.contains("käse"), "{}", error.public);
    let config = load("", "API_KEY=cha_secret", "").unwrap();
    assert_eq!(config.api_key.as_ref().map(Secret::reveal), Some("cha_secret"));
    assert_eq!(format!("{:?}", config.api_key), "Some((hidden))");
}

#[test]
fn exposure_needs_consent() {
    let check = |variables: &str, demo: bool, refusal: Option<&str>| {
        let answer = load("", variables, "").unwrap().check_serving(demo);
        match refusal {
            None => assert!(answer.is_ok(), "{variables}: {answer:?}"),
            Some(said) => {
                let text = answer.unwrap_err().public;
                assert!(text.contains(said), "{variables}: {text} lacks {said}");
            }
        }
    };
    check("", false, None);
    check("", true, None);
    check("LISTEN=0.0.0.0:80", false, Some("public_url is not set"));
    check("LISTEN=0.0.0.0:80", true, Some("a demo answers on this machine only"));
    check("LISTEN=0.0.0.0:80 PUBLIC_URL=https://a.example", false, Some("tls_cert and tls_key"));
    check("LISTEN=0.0.0.0:80 PUBLIC_URL=https://a.example INSECURE_HTTP=true", false, None);
    check("LISTEN=0.0.0.0:80 PUBLIC_URL=https://a.example TRUSTED_PROXIES=10.0.0.1", false, None);
    check("LISTEN=0.0.0.0:80 PUBLIC_URL=https://a.example TLS_CERT=c TLS_KEY=k", false, None);
    check("LISTEN=0.0.0.0:80 PUBLIC_URL=http://a.example TLS_CERT=c TLS_KEY=k", false, Some("use https://"));
    check("PUBLIC_URL=http://a.example", false, Some("use https://"));
    check("PUBLIC_URL=http://localhost:99", false, None);
    check("TLS_CERT=c", false, Some("tls_key is not"));
    check("TLS_KEY=k", false, Some("tls_cert is not"));
}

#[test]
fn networks_hold_addresses() {
    let check = |network: &str, address: &str, expected: bool| {
        let network = Network::parse(network).unwrap();
        assert_eq!(network.contains(address.parse().unwrap()), expected, "{network:?} {address}");
    };
    check("10.0.0.0/8", "10.9.8.7", true);
    check("10.0.0.0/8", "11.0.0.1", false);
    check("10.0.0.5", "10.0.0.5", true);
    check("10.0.0.5", "10.0.0.6", false);
    check("10.0.0.0/8", "::ffff:10.1.1.1", true);
    check("0.0.0.0/0", "203.0.113.9", true);
    check("0.0.0.0/0", "::1", false);
    check("fd00::/8", "fd12::1", true);
    check("::1", "::1", true);
    check("::/0", "2001:db8::1", true);
}

#[test]
fn the_table_is_whole() {
    for setting in SETTINGS {
        assert!(setting.about.trim().ends_with('.'), "{} has no sentence", setting.name);
        assert_eq!(setting.default.parse::<bool>().is_ok(), setting.switch, "{}", setting.name);
    }
}

#[test]
fn documents_on_this_machine_are_for_servers_on_this_machine() {
    let check = |variables: &str, expected: bool| {
        let config = load("", &format!("CLIENT_DOCUMENTS_LOOPBACK=true {variables}"), "").unwrap();
        let error = config.check_serving(false).err().map(|error| error.public);
        assert_eq!(error.is_none(), expected, "{variables}");
        assert!(
            error.is_none_or(|error| error.starts_with("client_documents_loopback is set (from variable"))
        );
    };
    check("", true);
    check("PUBLIC_URL=http://localhost:9", true);
    check("PUBLIC_URL=https://chat.example.com", false);
    check("LISTEN=0.0.0.0:1 PUBLIC_URL=http://localhost:9 INSECURE_HTTP=true", false);
}
