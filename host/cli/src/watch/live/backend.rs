//! Writes the cells of a view to a terminal.
//!
//! ratatui's own backend for crossterm asks `/dev/tty` or standard output for the size, and reads keys by an event loop
//! of its own. This one asks the terminal that it writes to, so a view on standard error is right even if standard
//! output is a file.

use crossterm::{
    cursor::{Hide, MoveTo, Show},
    queue,
    style::{
        Attribute, Color as TerminalColor, Print, ResetColor, SetAttribute, SetBackgroundColor,
        SetForegroundColor,
    },
    terminal::{Clear, ClearType as TerminalClear},
};
use ratatui::{
    backend::{Backend, ClearType, WindowSize},
    buffer::Cell,
    layout::{Position, Size},
    style::{Color, Modifier},
};
use rustix::termios::tcgetwinsize;
use std::{
    fs::File,
    io::{self, BufWriter, Write},
};

/// The size of a terminal that does not tell.
const USUAL: Size = Size { width: 80, height: 24 };

/// A terminal that cells are written to.
pub(super) struct TerminalBackend {
    out: BufWriter<File>,
}

impl TerminalBackend {
    pub(super) fn new(screen: File) -> Self {
        Self { out: BufWriter::new(screen) }
    }

    /// Sets the style of what follows.
    fn set_style(&mut self, cell: &Cell) -> io::Result<()> {
        // Attributes are reset first, because there is no sequence that only removes those that are not wanted.
        queue!(self.out, SetAttribute(Attribute::Reset))?;
        for (modifier, attribute) in
            [(Modifier::BOLD, Attribute::Bold), (Modifier::DIM, Attribute::Dim)]
        {
            if cell.modifier.contains(modifier) {
                queue!(self.out, SetAttribute(attribute))?;
            }
        }
        queue!(self.out, SetForegroundColor(color(cell.fg)), SetBackgroundColor(color(cell.bg)))
    }
}

/// The colours of views. They are of the terminal's own palette, so that they can be read on any background.
fn color(color: Color) -> TerminalColor {
    match color {
        Color::Red => TerminalColor::DarkRed,
        Color::Green => TerminalColor::DarkGreen,
        Color::Yellow => TerminalColor::DarkYellow,
        Color::Cyan => TerminalColor::DarkCyan,
        Color::DarkGray => TerminalColor::DarkGrey,
        _ => TerminalColor::Reset,
    }
}

impl Backend for TerminalBackend {
    type Error = io::Error;

    fn draw<'a, I>(&mut self, content: I) -> io::Result<()>
    where
        I: Iterator<Item = (u16, u16, &'a Cell)>,
    {
        let mut before: Option<(u16, u16, &Cell)> = None;
        for (x, y, cell) in content {
            // A wide character moves the cursor by two, so only one after a narrow character is where it should be.
            let follows = before.is_some_and(|(column, line, before)| {
                (column + 1, line) == (x, y) && before.symbol().len() == 1
            });
            if !follows {
                queue!(self.out, MoveTo(x, y))?;
            }
            let style = |cell: &Cell| (cell.fg, cell.bg, cell.modifier);
            if before.is_none_or(|(_, _, before)| style(before) != style(cell)) {
                self.set_style(cell)?;
            }
            queue!(self.out, Print(cell.symbol()))?;
            before = Some((x, y, cell));
        }
        queue!(self.out, ResetColor, SetAttribute(Attribute::Reset))
    }

    fn hide_cursor(&mut self) -> io::Result<()> {
        queue!(self.out, Hide)
    }

    fn show_cursor(&mut self) -> io::Result<()> {
        queue!(self.out, Show)
    }

    fn get_cursor_position(&mut self) -> io::Result<Position> {
        // A view has no cursor.
        Ok(Position::ORIGIN)
    }

    fn set_cursor_position<P: Into<Position>>(&mut self, position: P) -> io::Result<()> {
        let Position { x, y } = position.into();
        queue!(self.out, MoveTo(x, y))
    }

    fn clear(&mut self) -> io::Result<()> {
        queue!(self.out, Clear(TerminalClear::All))
    }

    fn clear_region(&mut self, region: ClearType) -> io::Result<()> {
        queue!(
            self.out,
            Clear(match region {
                ClearType::All => TerminalClear::All,
                ClearType::AfterCursor => TerminalClear::FromCursorDown,
                ClearType::BeforeCursor => TerminalClear::FromCursorUp,
                ClearType::CurrentLine => TerminalClear::CurrentLine,
                ClearType::UntilNewLine => TerminalClear::UntilNewLine,
            })
        )
    }

    fn size(&self) -> io::Result<Size> {
        Ok(match tcgetwinsize(self.out.get_ref()) {
            Ok(size) if size.ws_col > 0 && size.ws_row > 0 => {
                Size { width: size.ws_col, height: size.ws_row }
            }
            _ => USUAL,
        })
    }

    fn window_size(&mut self) -> io::Result<WindowSize> {
        // Pixels are for images, of which a view has none.
        Ok(WindowSize { columns_rows: self.size()?, pixels: Size::ZERO })
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
