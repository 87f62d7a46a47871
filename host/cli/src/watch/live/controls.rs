//! What the user's keys change about a view.

/// What a key asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ViewKey {
    /// End the run, or stop watching it.
    Quit,
    Pause,
    /// Scroll towards older messages by so many lines.
    Up(usize),
    /// Scroll towards newer messages by so many lines.
    Down(usize),
    /// Show the newest messages again.
    Newest,
}

/// The lines of a page.
const PAGE: usize = 10;

/// What terminals send for keys. Cursor keys have two forms, of which an application can choose one.
const KEYS: [(&[u8], ViewKey); 10] = [
    (b"q", ViewKey::Quit),
    (b"p", ViewKey::Pause),
    (b"\x1b[A", ViewKey::Up(1)),
    (b"\x1bOA", ViewKey::Up(1)),
    (b"\x1b[B", ViewKey::Down(1)),
    (b"\x1bOB", ViewKey::Down(1)),
    (b"\x1b[5~", ViewKey::Up(PAGE)),
    (b"\x1b[6~", ViewKey::Down(PAGE)),
    (b"\x1b[F", ViewKey::Newest),
    (b"\x1b[4~", ViewKey::Newest),
];

impl ViewKey {
    /// Returns the keys in what was read from a terminal. Other keys are ignored. A terminal sends each key in one
    /// piece.
    pub(super) fn parse(mut bytes: &[u8]) -> Vec<Self> {
        let mut keys = Vec::new();
        while let [first, rest @ ..] = bytes {
            let found = KEYS.iter().find(|(sent, _)| bytes.starts_with(sent));
            bytes = match found {
                Some((sent, _)) => &bytes[sent.len()..],
                None if *first == b'\x1b' => after_escape(rest),
                None => rest,
            };
            keys.extend(found.map(|&(_, key)| key));
        }
        keys
    }
}

/// What follows an unknown escape sequence. Its letters are not keys.
fn after_escape(bytes: &[u8]) -> &[u8] {
    let [b'[' | b'O', parameters @ ..] = bytes else { return bytes.get(1..).unwrap_or_default() };
    let end = parameters.iter().position(|byte| (b'@'..=b'~').contains(byte));
    end.map_or(&[], |end| &parameters[end + 1..])
}

/// Which messages a view shows.
#[derive(Debug, Default)]
pub(super) struct ViewControls {
    /// Whether keys are read.
    pub has_keys: bool,
    /// The number of messages at the moment at which the scrolling was paused.
    pinned: Option<u64>,
    /// How many lines above the newest shown message the view ends.
    up: usize,
}

impl ViewControls {
    pub(super) fn new(has_keys: bool) -> Self {
        Self { has_keys, ..Self::default() }
    }

    pub(super) fn press(&mut self, key: ViewKey, messages: u64) {
        match key {
            ViewKey::Quit => {}
            ViewKey::Pause if self.pinned.is_some() => self.follow(),
            ViewKey::Pause => self.pinned = Some(messages),
            ViewKey::Up(lines) => {
                self.pinned.get_or_insert(messages);
                self.up += lines;
            }
            ViewKey::Down(lines) => self.up = self.up.saturating_sub(lines),
            ViewKey::Newest => self.follow(),
        }
    }

    fn follow(&mut self) {
        (self.pinned, self.up) = (None, 0);
    }

    /// The number of the first message that is not shown, and whether the scrolling is paused.
    pub(super) fn end(&self, messages: u64) -> (u64, bool) {
        (self.pinned.unwrap_or(messages), self.pinned.is_some())
    }

    /// How many lines above the newest shown message the view ends, of `most` that make sense. What is beyond is
    /// forgotten, so that scrolling back takes as many keys.
    pub(super) fn lines_up(&mut self, most: usize) -> usize {
        self.up = self.up.min(most);
        self.up
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_told_apart_from_sequences_of_other_keys() {
        let parse = |bytes: &[u8]| ViewKey::parse(bytes);
        assert_eq!(parse(b"xq\x1b[A\x1bOB"), [ViewKey::Quit, ViewKey::Up(1), ViewKey::Down(1)]);
        // Delete, F5 with Control, Alt-q, a lone Escape, and then a key.
        assert_eq!(parse(b"\x1b[3~\x1b[15;5~\x1bqp"), [ViewKey::Pause]);
        assert_eq!(parse(b"\x1b"), []);
        assert_eq!(parse("é\x1b[6~".as_bytes()), [ViewKey::Down(10)]);
    }

    #[test]
    fn a_paused_view_stays_where_it_is_until_it_follows_again() {
        let mut controls = ViewControls::default();
        assert_eq!(controls.end(5), (5, false));
        controls.press(ViewKey::Up(3), 5);
        assert_eq!((controls.end(9), controls.lines_up(10)), ((5, true), 3));
        assert_eq!(controls.lines_up(2), 2);
        controls.press(ViewKey::Down(1), 9);
        assert_eq!((controls.end(9), controls.lines_up(10)), ((5, true), 1));
        controls.press(ViewKey::Pause, 9);
        assert_eq!((controls.end(9), controls.lines_up(10)), ((9, false), 0));
    }
}
