//! Enums to which later versions of the contract may add cases. The contract passes them as strings.

/// Defines an enum whose cases are strings in the contract. A string that this version does not know is kept in the
/// case `Other`.
macro_rules! open_enum {
    ($(#[$enum:meta])* $name:ident { $($(#[$variant:meta])* $case:ident = $word:literal,)* }) => {
        $(#[$enum])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum $name {
            $($(#[$variant])* $case,)*
            /// A case that this version of the SDK does not know.
            Other(String),
        }

        impl $name {
            /// Returns the string of the case in the contract.
            pub fn as_str(&self) -> &str {
                match self {
                    $(Self::$case => $word,)*
                    Self::Other(word) => word,
                }
            }
        }

        impl From<&str> for $name {
            fn from(word: &str) -> Self {
                match word {
                    $($word => Self::$case,)*
                    other => Self::Other(other.to_owned()),
                }
            }
        }

        impl From<String> for $name {
            fn from(word: String) -> Self {
                Self::from(word.as_str())
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

pub(crate) use open_enum;

#[cfg(test)]
mod tests {
    use crate::quantity::Source;

    #[test]
    fn a_string_that_is_not_known_is_kept() {
        let later = Source::from("quantum-counter");
        assert_eq!(later, Source::Other("quantum-counter".to_owned()));
        assert_eq!(later.as_str(), "quantum-counter");
        assert_eq!(Source::from("nvml-counter"), Source::NvmlCounter);
    }
}
