//! Bearer tokens of the backend and administration listeners.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use hyper::HeaderMap;
use hyper::header::AUTHORIZATION;
use openssl::memcmp;
use openssl::sha::sha256;

/// What a caller may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Submit, list, fetch, acknowledge.
    Backend,
    /// Read everything; retry, cancel, close.
    Operator,
    /// Read everything.
    Viewer,
}

/// One token, kept as its digest only.
#[derive(Debug, Clone)]
pub struct Token {
    digest: [u8; 32],
    /// The backend that it speaks for; all of them when absent.
    pub backend: Option<String>,
    /// What it may do.
    pub role: Role,
}

/// Who calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The backend that it speaks for; all of them when absent.
    pub backend: Option<String>,
    /// What it may do.
    pub role: Role,
}

/// The tokens of one listener.
#[derive(Debug, Clone, Default)]
pub struct Tokens(pub Vec<Token>);

impl Token {
    /// A token of that text.
    pub fn new(text: &str, backend: Option<String>, role: Role) -> Self {
        Self { digest: sha256(text.trim().as_bytes()), backend, role }
    }
}

impl Tokens {
    /// Who calls; `None` for a wrong or missing token. Without any token the listener is bound to loopback (checked at
    /// start), and every caller may do everything.
    pub fn caller(&self, headers: &HeaderMap) -> Option<Caller> {
        if self.0.is_empty() {
            return Some(Caller { backend: None, role: Role::Operator });
        }
        self.of(authorization(headers, "bearer")?.trim())
    }

    /// The same, for a browser, which asks a person for a name and a password: the token is the password, whatever the name. It
    /// sends both along wherever a page of somebody else leads, so only what changes nothing may be allowed so.
    pub fn reader(&self, headers: &HeaderMap) -> Option<Caller> {
        let octets = BASE64_STANDARD.decode(authorization(headers, "basic")?.trim()).ok()?;
        let text = String::from_utf8(octets).ok()?;
        self.of(text.split_once(':')?.1.trim())
    }

    fn of(&self, token: &str) -> Option<Caller> {
        let digest = sha256(token.as_bytes());
        let found = self.0.iter().find(|known| memcmp::eq(&known.digest, &digest))?;
        Some(Caller { backend: found.backend.clone(), role: found.role })
    }
}

/// What stands behind the scheme (RFC 9110 11.6.2), where it is that one.
fn authorization<'h>(headers: &'h HeaderMap, scheme: &str) -> Option<&'h str> {
    let (found, rest) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    found.eq_ignore_ascii_case(scheme).then_some(rest)
}

impl Caller {
    /// Whether the caller may act for `backend`.
    pub fn speaks_for(&self, backend: &str) -> bool {
        self.role != Role::Viewer && self.backend.as_deref().is_none_or(|own| own == backend)
    }
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderValue;

    use super::*;

    #[test]
    fn a_token_opens_its_own_backend_only() {
        let tokens = Tokens(vec![Token::new("secret\n", Some("a".into()), Role::Backend)]);
        let mut headers = HeaderMap::new();
        assert_eq!(tokens.caller(&headers), None);
        headers.insert(AUTHORIZATION, HeaderValue::from_static("Bearer wrong"));
        assert_eq!(tokens.caller(&headers), None);
        headers.insert(AUTHORIZATION, HeaderValue::from_static("bearer secret"));
        let caller = tokens.caller(&headers).unwrap();
        assert!(caller.speaks_for("a") && !caller.speaks_for("b"));
        assert_eq!(tokens.reader(&headers), None, "only what it is asked for");
    }

    #[test]
    fn a_browser_gives_the_token_as_a_password() {
        let tokens = Tokens(vec![Token::new("se:cret", None, Role::Viewer)]);
        let basic = |text: &str| {
            let value = format!("Basic {}", BASE64_STANDARD.encode(text));
            HeaderMap::from_iter([(AUTHORIZATION, HeaderValue::from_str(&value).unwrap())])
        };
        assert_eq!(tokens.reader(&basic("anybody:se:cret")).unwrap().role, Role::Viewer);
        assert_eq!(tokens.reader(&basic("anybody:wrong")), None);
        assert_eq!(tokens.reader(&basic("secret")), None);
        assert_eq!(tokens.caller(&basic("anybody:se:cret")), None, "it is no bearer token");
    }
}
