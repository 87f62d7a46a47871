//! The function `strftime_now`: formats a date and time like Python's `datetime.strftime`, in the locale C and without
//! a time zone.

use super::render_error::{RenderError, Result};
use jiff::civil::DateTime;

const DAYS: [&str; 7] =
    ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

/// Formats a date and time. Fails for a code that is not in the list of `format_field`.
pub(super) fn strftime(format: &str, now: DateTime) -> Result<String> {
    let (mut out, mut chars) = (String::new(), format.chars());
    while let Some(c) = chars.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        let mut code = chars.next();
        // Flags of glibc: `-` no padding, `_` spaces, `0` zeros, `^` capitals.
        let flag = code.filter(|flag| "-_0^".contains(*flag));
        if flag.is_some() {
            code = chars.next();
        }
        let code =
            code.ok_or_else(|| RenderError::unsupported("a date's format that ends in '%'"))?;
        out.push_str(&format_field(code, flag, now)?);
    }
    Ok(out)
}

fn format_field(code: char, flag: Option<char>, now: DateTime) -> Result<String> {
    let weekday = usize::from(now.weekday().to_monday_zero_offset() as u8);
    let month = MONTHS[usize::from(now.month() as u8 - 1)];
    let day_of_year = i64::from(now.day_of_year());
    let hour = i64::from(now.hour());
    let hour_of_half = (hour + 11) % 12 + 1;
    let sunday_zero = (weekday as i64 + 1) % 7;
    let padded = |value: i64, width: usize, pad: char| {
        let pad = match flag {
            Some('-') => return value.to_string(),
            Some('_') => ' ',
            Some('0') => '0',
            _ => pad,
        };
        let digits = value.to_string();
        String::from(pad).repeat(width.saturating_sub(digits.len())) + &digits
    };
    let two = |value: i64| padded(value, 2, '0');
    let several = |format: &str| strftime(format, now);
    let iso = now.date().iso_week_date();
    let year = i64::from(now.year());
    let text = match code {
        'a' => DAYS[weekday][..3].to_owned(),
        'A' => DAYS[weekday].to_owned(),
        'b' | 'h' => month[..3].to_owned(),
        'B' => month.to_owned(),
        'p' => if hour < 12 { "AM" } else { "PM" }.to_owned(),
        'P' => if hour < 12 { "am" } else { "pm" }.to_owned(),
        'd' => two(now.day().into()),
        'e' => padded(now.day().into(), 2, ' '),
        'm' => two(now.month().into()),
        'y' => two(year % 100),
        'C' => two(year / 100),
        'Y' => year.to_string(),
        'G' => iso.year().to_string(),
        'g' => two(i64::from(iso.year()) % 100),
        'V' => two(iso.week().into()),
        'H' => two(hour),
        'k' => padded(hour, 2, ' '),
        'I' => two(hour_of_half),
        'l' => padded(hour_of_half, 2, ' '),
        'M' => two(now.minute().into()),
        'S' => two(now.second().into()),
        'f' => format!("{:06}", now.subsec_nanosecond() / 1000),
        'j' => padded(day_of_year, 3, '0'),
        'u' => (weekday + 1).to_string(),
        'w' => sunday_zero.to_string(),
        'U' => two((day_of_year + 6 - sunday_zero) / 7),
        'W' => two((day_of_year + 6 - weekday as i64) / 7),
        'z' | 'Z' => String::new(),
        'n' => "\n".to_owned(),
        't' => "\t".to_owned(),
        '%' => "%".to_owned(),
        'D' | 'x' => several("%m/%d/%y")?,
        'F' => several("%Y-%m-%d")?,
        'T' | 'X' => several("%H:%M:%S")?,
        'R' => several("%H:%M")?,
        'r' => several("%I:%M:%S %p")?,
        'c' => several("%a %b %e %H:%M:%S %Y")?,
        other => return Err(RenderError::unsupported(format!("the date's code '%{other}'"))),
    };
    Ok(if flag == Some('^') { text.to_uppercase() } else { text })
}
