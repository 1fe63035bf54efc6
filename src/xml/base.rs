//! Joining `xml:base` values of left-out ancestors (Canonical XML 1.1, 2.4 and appendix A).

/// Joins the values from the outermost to the innermost.
pub(super) fn join_all<'a>(values: impl Iterator<Item = &'a str>) -> String {
    values.fold(String::new(), |base, reference| join(&base, reference))
}

/// RFC 3986, 5.2.2, where the base may itself be relative.
fn join(base: &str, reference: &str) -> String {
    if base.is_empty() {
        return reference.to_owned();
    }
    let (of_base, of_reference) = (Parts::of(base), Parts::of(reference));
    if of_reference.scheme.is_some() {
        return of_reference.with(remove_dots(of_reference.path), of_reference.query);
    }
    if of_reference.authority.is_some() {
        let joined = Parts { scheme: of_base.scheme, ..of_reference };
        return joined.with(remove_dots(of_reference.path), of_reference.query);
    }
    let (path, query) = match of_reference.path {
        "" => (of_base.path.to_owned(), of_reference.query.or(of_base.query)),
        path if path.starts_with('/') => (remove_dots(path), of_reference.query),
        path => (remove_dots(&merge(&of_base, path)), of_reference.query),
    };
    of_base.with(path, query)
}

#[derive(Clone, Copy)]
struct Parts<'a> {
    scheme: Option<&'a str>,
    authority: Option<&'a str>,
    path: &'a str,
    query: Option<&'a str>,
}

impl<'a> Parts<'a> {
    fn of(text: &'a str) -> Self {
        let text = text.split('#').next().unwrap_or("");
        let (scheme, rest) = match text.split_once(':') {
            Some((scheme, rest)) if is_scheme(scheme) => (Some(scheme), rest),
            _ => (None, text),
        };
        let (rest, query) = match rest.split_once('?') {
            Some((rest, query)) => (rest, Some(query)),
            None => (rest, None),
        };
        let (authority, path) = match rest.strip_prefix("//") {
            Some(rest) => {
                let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
                (Some(authority), path)
            }
            None => (None, rest),
        };
        Self { scheme, authority, path, query }
    }

    fn with(&self, path: String, query: Option<&str>) -> String {
        let mut text = String::new();
        if let Some(scheme) = self.scheme {
            text += scheme;
            text.push(':');
        }
        if let Some(authority) = self.authority {
            text += "//";
            text += authority;
        }
        text += &path;
        if let Some(query) = query {
            text.push('?');
            text += query;
        }
        text
    }
}

fn is_scheme(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'))
}

/// RFC 3986, 5.2.3; a base that ends in `..` counts as a folder (C14N 1.1, appendix A).
fn merge(base: &Parts<'_>, path: &str) -> String {
    if base.authority.is_some() && base.path.is_empty() {
        return format!("/{path}");
    }
    let folder = match base.path {
        ".." => "../".to_owned(),
        ends if ends.ends_with("/..") => format!("{ends}/"),
        other => other[..other.rfind('/').map_or(0, |at| at + 1)].to_owned(),
    };
    folder + path
}

/// RFC 3986, 5.2.4, keeping unpaired leading `..` and collapsing repeated slashes (C14N 1.1, 2.4).
fn remove_dots(path: &str) -> String {
    let absolute = path.starts_with('/');
    let mut kept: Vec<&str> = Vec::new();
    let segments: Vec<&str> = path.split('/').collect();
    for segment in &segments {
        match *segment {
            "" | "." => {}
            ".." if kept.last().is_some_and(|last| *last != "..") => {
                kept.pop();
            }
            ".." if absolute => {}
            other => kept.push(other),
        }
    }
    let folder = matches!(segments.last(), Some(&"" | &"." | &".."));
    let mut text = String::from(if absolute { "/" } else { "" });
    text += &kept.join("/");
    if folder && !kept.is_empty() {
        text.push('/');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bases_are_joined_as_the_recommendation_shows() {
        for (base, reference, joined) in [
            ("http://www.example.com/a/b", "../x", "http://www.example.com/x"),
            ("http://www.example.com/a/b/", "c", "http://www.example.com/a/b/c"),
            ("foo/bar/", "../", "foo/"),
            ("..", "..", "../../"),
            ("a//b/c", "d", "a/b/d"),
            ("http://h", "x", "http://h/x"),
            ("x/y", "http://other/z", "http://other/z"),
            ("x/y?q", "", "x/y?q"),
        ] {
            assert_eq!(join(base, reference), joined, "{base} + {reference}");
        }
        assert_eq!(join_all(["http://h/a/", "b/", "c"].into_iter()), "http://h/a/b/c");
    }
}
