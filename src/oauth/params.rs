//! The parameters of a request to the authorization server.

use super::Fault;

/// Parameters, each at most once (OAuth 2.1, section 3.1), but for `resource`, which may repeat (RFC 8707, section 2).
#[derive(Clone, Debug)]
pub struct Params(Vec<(String, String)>);

impl Params {
    /// The parameters as they came, decoded.
    ///
    /// # Errors
    /// `invalid_request` when one stands twice or is not UTF-8.
    pub fn new(pairs: Vec<(String, String)>) -> Result<Params, Fault> {
        let mut names: Vec<&str> = pairs.iter().map(|(name, _)| name.as_str()).collect();
        names.sort_unstable();
        if names.windows(2).any(|two| two[0] == two[1] && two[0] != RESOURCE) {
            return Err(Fault::invalid_request("A parameter stands twice; each may stand once."));
        }
        // What was no UTF-8 came as this, and could not be given back as it was.
        if pairs.iter().any(|(_, value)| value.contains(char::REPLACEMENT_CHARACTER)) {
            return Err(Fault::invalid_request("A parameter is not UTF-8."));
        }
        Ok(Params(pairs))
    }

    /// The value of `name`; one without a value counts as left out (OAuth 2.1, section 3.1).
    pub fn get(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(found, _)| found == name);
        found.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }

    /// The value of `name`.
    ///
    /// # Errors
    /// `invalid_request` when it is left out.
    pub fn need(&self, name: &'static str) -> Result<&str, Fault> {
        self.get(name).ok_or_else(|| Fault::invalid_request(format!("The parameter {name} is missing.")))
    }

    /// Every `resource`.
    pub fn resources(&self) -> impl Iterator<Item = &str> {
        let named = self.0.iter().filter(|(name, value)| name == RESOURCE && !value.is_empty());
        named.map(|(_, value)| value.as_str())
    }

    /// Bytes of all names and values.
    pub fn bytes(&self) -> usize {
        self.0.iter().map(|(name, value)| name.len() + value.len() + 2).sum()
    }
}

const RESOURCE: &str = "resource";

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// The pairs of a query string.
    pub fn pairs(query: &str) -> Vec<(String, String)> {
        form_urlencoded::parse(query.as_bytes()).into_owned().collect()
    }

    #[test]
    fn each_stands_once() {
        let check = |query: &str, good: bool| assert_eq!(Params::new(pairs(query)).is_ok(), good, "{query}");
        check("", true);
        check("a=1&b=1", true);
        check("a=1&a=1", false);
        check("a=1&b=2&a=", false);
        check("a=1&%61=2", false);
        check("a=1&A=2", true);
        check("resource=1&resource=2", true);
        check("a=%ff", false);
        let params = Params::new(pairs("a=&b=2&resource=x&resource=&resource=y")).unwrap();
        assert_eq!((params.get("a"), params.get("b")), (None, Some("2")));
        assert_eq!(params.resources().collect::<Vec<_>>(), ["x", "y"]);
        assert_eq!(params.need("a").unwrap_err().code, "invalid_request");
    }
}
