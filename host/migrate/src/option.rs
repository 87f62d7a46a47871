//! An option of another tool, and what becomes of it.

/// A row of a tool's table. Several options that share their kind and their reason share a row.
#[derive(Debug)]
pub(crate) struct OptionRow {
    /// The names, separated by spaces: `-p --n-prompt`. Of a setting in a file, its path: `backend.model`; a path that
    /// ends with `.*` means everything below.
    pub(crate) names: &'static str,
    pub(crate) kind: Kind,
    pub(crate) target: Target,
    pub(crate) default: ToolDefault,
}

/// What follows an option.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Kind {
    /// Nothing; `--no-NAME` is its opposite, and `--NAME=true` is the same.
    Flag,
    /// A whole number.
    Integer,
    /// A number, `inf` included.
    Number,
    Text,
    /// One of these words.
    OneOf(&'static [&'static str]),
    /// One word or several, up to the next option.
    Words,
    /// One word or none.
    OptionalText,
    /// As in `--override NAME VALUE`.
    TwoWords,
}

/// What becomes of an option.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Target {
    /// A parameter of the script, with the value as it was given.
    Parameter(&'static str),
    /// An option of `llem exec`, with the value as it was given.
    Exec(&'static str),
    /// The tool's own code makes these parameters and options of it.
    Read(&'static [&'static str]),
    /// Nothing, for this reason.
    Nothing(&'static str),
}

/// The value that a tool takes if an option is not given.
#[derive(Clone, Copy, Debug)]
pub(crate) enum ToolDefault {
    /// There is none, or the tool's own code knows it.
    Unset,
    /// The script's parameter has the same default, so the command is without it.
    Same(&'static str),
    /// The script has another default, so the command has this one.
    Set(&'static str),
}

impl OptionRow {
    const fn new(names: &'static str, kind: Kind, target: Target) -> Self {
        Self { names, kind, target, default: ToolDefault::Unset }
    }

    /// The tool's default, which the script's parameter has, too.
    pub(crate) const fn same(mut self, default: &'static str) -> Self {
        self.default = ToolDefault::Same(default);
        self
    }

    /// The tool's default, which the script's parameter does not have.
    pub(crate) const fn set(mut self, default: &'static str) -> Self {
        self.default = ToolDefault::Set(default);
        self
    }

    /// The names, one at a time.
    pub(crate) fn names(&self) -> impl Iterator<Item = &'static str> {
        self.names.split(' ')
    }

    /// `true` if the option is called that. In long names `_` and `-` are the same, as tools in Python have it.
    pub(crate) fn is_called(&self, name: &str) -> bool {
        self.names().any(|own| match own.strip_suffix(".*") {
            Some(above) => {
                name == above || name.strip_prefix(above).is_some_and(|rest| rest.starts_with('.'))
            }
            None => {
                own == name || (own.len() > 3 && own.replace('_', "-") == name.replace('_', "-"))
            }
        })
    }
}

/// An option that becomes a parameter of the script.
pub(crate) const fn parameter(names: &'static str, kind: Kind, name: &'static str) -> OptionRow {
    OptionRow::new(names, kind, Target::Parameter(name))
}

/// An option that becomes an option of `llem exec`.
pub(crate) const fn exec(names: &'static str, kind: Kind, name: &'static str) -> OptionRow {
    OptionRow::new(names, kind, Target::Exec(name))
}

/// An option that the tool's own code reads, and the parameters and options that it makes of it.
pub(crate) const fn read(
    names: &'static str,
    kind: Kind,
    makes: &'static [&'static str],
) -> OptionRow {
    OptionRow::new(names, kind, Target::Read(makes))
}

/// Options that nothing becomes of, and why.
pub(crate) const fn none(names: &'static str, kind: Kind, why: &'static str) -> OptionRow {
    OptionRow::new(names, kind, Target::Nothing(why))
}

/// An option of a tool, as a user may ask for it.
#[derive(Clone, Debug, PartialEq)]
pub struct OptionInfo {
    /// The names, separated by spaces, or the path of a setting.
    pub names: &'static str,
    /// The parameters of the script (`-p NAME`) and options of `llem exec` (`--NAME`) that are made of it; empty if
    /// there are none.
    pub becomes: Vec<&'static str>,
    /// Why nothing is made of it.
    pub why_not: Option<&'static str>,
    /// The tool's default, where the script's parameter has the same.
    pub shared_default: Option<&'static str>,
}

impl From<&OptionRow> for OptionInfo {
    fn from(row: &OptionRow) -> Self {
        let (becomes, why_not) = match row.target {
            Target::Parameter(name) | Target::Exec(name) => (vec![name], None),
            Target::Read(names) => (names.to_vec(), None),
            Target::Nothing(why) => (vec![], Some(why)),
        };
        let shared_default = match row.default {
            ToolDefault::Same(value) => Some(value),
            ToolDefault::Unset | ToolDefault::Set(_) => None,
        };
        Self { names: row.names, becomes, why_not, shared_default }
    }
}
