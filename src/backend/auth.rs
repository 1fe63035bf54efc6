//! Bearer tokens of the backend and administration listeners.

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
        let text = headers.get(AUTHORIZATION)?.to_str().ok()?;
        let (scheme, token) = text.split_once(' ')?;
        if !scheme.eq_ignore_ascii_case("bearer") {
            return None;
        }
        let digest = sha256(token.trim().as_bytes());
        let found = self.0.iter().find(|known| memcmp::eq(&known.digest, &digest))?;
        Some(Caller { backend: found.backend.clone(), role: found.role })
    }
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
    }
}
