//! Keeps secrets out of the record, which people publish. Environment variables, the command line and parameters are
//! checked. A value that looks like a secret is replaced, but only in the record.
//!
//! ```text
//! HF_TOKEN, api-key=…             a secret by its name  (not recorded)
//! https://me:abc@host/x?sig=abc   user info and query   https://(not recorded)@host/x?(not recorded)
//! me:abc@host                     user info             (not recorded)@host
//! ```

use std::borrow::Cow;

/// The text that replaces a secret in the record.
pub(crate) const NOT_RECORDED: &str = "(not recorded)";

/// Words in names whose values are secrets. Plurals that count or measure (`max-tokens`, `keys`) are not among them.
const SECRETS: [&str; 15] = [
    "TOKEN",
    "KEY",
    "APIKEY",
    "SECRET",
    "SECRETS",
    "PASSWORD",
    "PASSWORDS",
    "PASSWD",
    "PASSPHRASE",
    "PASS",
    "PWD",
    "AUTH",
    "CREDENTIAL",
    "CREDENTIALS",
    "SIG",
];

/// Returns a named value for the record, without secrets.
pub(crate) fn redact(name: &str, value: &str) -> String {
    if is_secret(name) { NOT_RECORDED.to_owned() } else { without_credentials(value) }
}

/// Returns the words of a command line for the record, without secrets. A value follows its name and `=`: `api-key=…`,
/// `--param=api-key=…`, `-papi-key=…`.
pub(crate) fn redact_command(words: &[String]) -> Vec<String> {
    let redact = |word: &String| {
        let secret = word.match_indices('=').map(|(end, _)| &word[..end]).find(|before| {
            let name = before.rsplit('=').next().unwrap_or(before);
            is_secret(name.strip_prefix("-p").unwrap_or(name))
        });
        match secret {
            Some(before) => format!("{before}={NOT_RECORDED}"),
            None => without_credentials(word),
        }
    };
    words.iter().map(redact).collect()
}

/// Returns true if a word of the name says that its value is a secret. `keys_per_token` is a rate and not a secret.
fn is_secret(name: &str) -> bool {
    let words: Vec<String> = name.split(['_', '-', '.']).map(str::to_uppercase).collect();
    let is_rate = |place: usize| place > 0 && words[place - 1] == "PER";
    let is_secret = |(place, word): (usize, &String)| {
        SECRETS.contains(&word.as_str()) && !(word == "TOKEN" && is_rate(place))
    };
    words.iter().enumerate().any(is_secret)
}

/// Replaces the user info and the query of every address in a text.
fn without_credentials(text: &str) -> String {
    let ends = |c: char| c.is_whitespace() || "\"'<>".contains(c);
    text.split_inclusive(ends)
        .map(|word| {
            let (word, end) = match word.char_indices().next_back() {
                Some((place, last)) if ends(last) => word.split_at(place),
                _ => (word, ""),
            };
            address(word).into_owned() + end
        })
        .collect()
}

/// Replaces the user info and the query of the addresses in a word, which may contain several.
fn address(word: &str) -> Cow<'_, str> {
    let mut parts = word.split("://");
    let first = parts.next().map(without_user).unwrap_or_default();
    let mut shown = first.into_owned();
    for part in parts {
        let (address, query) = match part.find(['?', '#']) {
            Some(place) => (&part[..place], Some(&part[place..=place])),
            None => (part, None),
        };
        let (authority, path) = address.split_at(address.find('/').unwrap_or(address.len()));
        shown += "://";
        match authority.rsplit_once('@') {
            Some((_, host)) => shown += &format!("{NOT_RECORDED}@{host}"),
            None => shown += authority,
        }
        shown += path;
        if let Some(sign) = query {
            // Everything that follows may belong to the query.
            return format!("{shown}{sign}{NOT_RECORDED}").into();
        }
    }
    shown.into()
}

/// Replaces the user info in `user:password@host`. A password that contains `/` is not recognised, because a list of
/// folders with an `@` in a name looks the same.
fn without_user(word: &str) -> Cow<'_, str> {
    let Some((before, host)) = word.rsplit_once('@') else { return word.into() };
    let folder = before.rfind('/').map_or(0, |place| place + 1);
    let Some((user, password)) = before[folder..].split_once(':') else { return word.into() };
    if password.is_empty() {
        return word.into();
    }
    // Handles `name=user:password@host`.
    let name = user.rfind('=').map_or(0, |place| place + 1);
    format!("{}{NOT_RECORDED}@{host}", &before[..folder + name]).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_secrets_from_numbers() {
        let secrets = [
            "HF_TOKEN",
            "api-key",
            "LLEM_DB_PASS",
            "HF_PWD",
            "basic.auth",
            "Client_Secret",
            "sas-sig",
            "HF_CREDENTIALS",
        ];
        for name in secrets {
            assert_eq!(redact(name, "abc"), NOT_RECORDED, "{name}");
        }
        let others = [
            "new-tokens",
            "prompt-tokens",
            "max-tokens",
            "KEYS_PER_TOKEN",
            "joules-per-token",
            "TOKENIZERS_PARALLELISM",
            "keyboard",
            "compass",
            "author",
            "design",
        ];
        for name in others {
            assert_eq!(redact(name, "12"), "12", "{name}");
        }
    }

    #[test]
    fn addresses_lose_user_info_and_query() {
        for (given, shown) in [
            ("http://me:abc@host:4318/v1", "http://(not recorded)@host:4318/v1"),
            ("http://me:a@b,c@host", "http://(not recorded)@host"),
            ("https://host/a?token=abc&b=1#c", "https://host/a?(not recorded)"),
            ("https://host#access_token=abc", "https://host#(not recorded)"),
            ("http://a/b,http://me:abc@c", "http://a/b,http://(not recorded)@c"),
            ("see 'http://me:abc@a/' and b@c.org", "see 'http://(not recorded)@a/' and b@c.org"),
            ("me:abc@host", "(not recorded)@host"),
            ("name=me:abc==@host/x", "name=(not recorded)@host/x"),
            ("redis=:abc@host", "redis=(not recorded)@host"),
            ("https://host:443/path", "https://host:443/path"),
            ("org/name@main", "org/name@main"),
            ("/usr/lib:/opt/openssl@3/lib", "/usr/lib:/opt/openssl@3/lib"),
            ("is it 3:4? a #1 question", "is it 3:4? a #1 question"),
        ] {
            assert_eq!(redact("name", given), shown);
        }
    }

    #[test]
    fn a_command_is_shown_without_its_secrets() {
        for (given, shown) in [
            ("api-key=abc=d", "api-key=(not recorded)"),
            ("--param=api-key=abc", "--param=api-key=(not recorded)"),
            ("-ptoken=abc", "-ptoken=(not recorded)"),
            ("--otlp-endpoint=http://me:abc@host", "--otlp-endpoint=http://(not recorded)@host"),
            ("http://host/?token=abc", "http://host/?(not recorded)"),
            ("new-tokens=4", "new-tokens=4"),
            ("prompt=the key=5", "prompt=the key=5"),
            ("--tokens", "--tokens"),
        ] {
            assert_eq!(redact_command(&[given.to_owned()]), [shown]);
        }
    }
}
