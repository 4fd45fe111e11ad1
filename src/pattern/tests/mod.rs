//! Tags, and what must hold for every regex.
#![allow(clippy::unwrap_used)]

mod properties;
mod tags;

use super::*;

#[test]
fn equal_regexes_are_one() {
    let multiline = Flags {
        multiline: true,
        ..Flags::default()
    };
    let a = compile("share me (x)", Flags::default()).unwrap();
    let b = compile("share me (x)", Flags::default()).unwrap();
    let c = compile("share me (x)", multiline).unwrap();
    assert!(Arc::ptr_eq(&a, &b));
    assert!(!Arc::ptr_eq(&a, &c));
}
