//! Names of captured fields. Those that the filter itself uses are numbered: a matching line compares and
//! copies names dozens of times.
#![forbid(unsafe_code)]

use std::fmt;
use std::sync::Arc;

use crate::fields::FieldName;

macro_rules! names {
    ($($variant:ident = $text:literal),+ $(,)?) => {
        /// The name of a field.
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
        #[allow(missing_docs)]
        pub enum Name {
            $(#[doc = $text] $variant,)+
            /// Any that means nothing to the filter.
            Other(Arc<str>),
        }

        impl Name {
            /// The name as text.
            pub fn as_str(&self) -> &str {
                match self {
                    $(Name::$variant => $text,)+
                    Name::Other(text) => text,
                }
            }
        }

        impl From<Name> for FieldName {
            fn from(name: Name) -> FieldName {
                match name {
                    $(Name::$variant => FieldName::Known($text),)+
                    Name::Other(text) => FieldName::Other(text),
                }
            }
        }

        impl From<&str> for Name {
            fn from(text: &str) -> Name {
                match text {
                    $($text => Name::$variant,)+
                    text => Name::Other(text.into()),
                }
            }
        }
    };
}

names! {
    Fid = "fid",
    Ip4 = "ip4",
    Ip6 = "ip6",
    Dns = "dns",
    Host = "host",
    Cidr = "cidr",
    Mlfid = "mlfid",
    Nofail = "nofail",
    Mlfforget = "mlfforget",
    Mlfgained = "mlfgained",
    User = "user",
    Users = "users",
    Ip = "ip",
    Content = "content",
}

impl Name {
    /// Whether the field decides what a match means; all others are only shown.
    pub fn is_decisive(&self) -> bool {
        !matches!(self, Name::Other(_))
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
