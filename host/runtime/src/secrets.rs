//! Keeps secrets out of the record, which people publish: of environment variables, of the command line and of
//! parameters. What looks like a secret is replaced; the script and the program still get the real value.
//!
//! ```text
//! HF_TOKEN, api-key=…             by its name           (not recorded)
//! https://me:abc@host/x?sig=abc   user info and query   https://(not recorded)@host/x?(not recorded)
//! me:abc@host                     the same              (not recorded)@host
//! ```

use std::borrow::Cow;

/// What is recorded in place of a secret.
pub const NOT_RECORDED: &str = "(not recorded)";

/// Words of names whose values are secrets. Plurals that count or measure (`max-tokens`, `keys`) are not among them.
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

/// A named value as the record may hold it.
pub fn recorded(name: &str, value: &str) -> String {
    if is_secret(name) { NOT_RECORDED.to_owned() } else { without_credentials(value) }
}

/// The words of a command line as the record may hold them. A value stands behind its name and `=`:
/// `api-key=…`, `--param=api-key=…`, `-papi-key=…`.
pub fn recorded_command(words: &[String]) -> Vec<String> {
    let recorded = |word: &String| {
        let secret = word.match_indices('=').map(|(end, _)| &word[..end]).find(|before| {
            let name = before.rsplit('=').next().unwrap_or(before);
            is_secret(name.strip_prefix("-p").unwrap_or(name))
        });
        match secret {
            Some(before) => format!("{before}={NOT_RECORDED}"),
            None => without_credentials(word),
        }
    };
    words.iter().map(recorded).collect()
}

/// Whether a value of this name is a secret: one of the name's words says so. `keys_per_token` is a rate.
fn is_secret(name: &str) -> bool {
    let words: Vec<String> = name.split(['_', '-', '.']).map(str::to_uppercase).collect();
    let is_rate = |place: usize| place > 0 && words[place - 1] == "PER";
    let is_secret = |(place, word): (usize, &String)| {
        SECRETS.contains(&word.as_str()) && !(word == "TOKEN" && is_rate(place))
    };
    words.iter().enumerate().any(is_secret)
}

/// A text without the user info and the query of the addresses in it.
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

/// A word without the user info and the query of the addresses in it: of one, or of several with something between.
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
            // Whatever follows may belong to the query.
            return format!("{shown}{sign}{NOT_RECORDED}").into();
        }
    }
    shown.into()
}

/// A word without what stands before the host in `user:password@host`. A password with a `/` is not recognised, for
/// then a list of folders, some with an `@` in their names, looks the same.
fn without_user(word: &str) -> Cow<'_, str> {
    let Some((before, host)) = word.rsplit_once('@') else { return word.into() };
    let folder = before.rfind('/').map_or(0, |place| place + 1);
    let Some((user, password)) = before[folder..].split_once(':') else { return word.into() };
    if password.is_empty() {
        return word.into();
    }
    // `name=user:password@host`.
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
            assert_eq!(recorded(name, "abc"), NOT_RECORDED, "{name}");
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
            assert_eq!(recorded(name, "12"), "12", "{name}");
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
            assert_eq!(recorded("name", given), shown);
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
            assert_eq!(recorded_command(&[given.to_owned()]), [shown]);
        }
    }
}
