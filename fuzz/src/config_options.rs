//! Values of options: `name[option=value]`, time spans, numbers, flags, formulas, addresses.
//!
//! Each part of the input is a text that is read as all of these.

use ferroban::parts::address::Address;
use ferroban::parts::config::definition::convert;
use ferroban::parts::config::options;
use ferroban::parts::config::settings::{Setting, split_condition};
use ferroban::parts::control::Value;
use ferroban::parts::datetime::duration;
use ferroban::parts::jail::formula::{Formula, Variables};
use ferroban::parts::options::ValueKind;
use ferroban::parts::python::Number;
use ferroban::parts::python::text;

pub fn run(data: &[u8]) {
    for text in super::texts(data) {
        definitions(&text);
        numbers(&text);
        formula(&text);
        words(&text);
    }
}

fn definitions(list: &str) {
    let pieces = options::split(list);
    // splitting drops nothing but blanks
    let kept = |text: &str| text.chars().filter(|c| !text::is_space(*c)).count();
    let sum: usize = pieces.iter().map(|piece| kept(piece)).sum();
    assert_eq!(sum, kept(list));
    for piece in pieces.into_iter().chain([list]) {
        if let Ok(definition) = options::parse(piece) {
            assert!(piece.starts_with(&definition.name));
            for (name, value) in &definition.arguments {
                assert!(piece.contains(name.as_str()) && piece.contains(value.as_str()));
            }
        }
    }
    split_condition(list);
}

fn numbers(text: &str) {
    if let Ok(span) = duration::parse(text) {
        assert!(!duration::format(span).is_empty());
    }
    let value = Value::from(text);
    if let (Ok(whole), Ok(float)) = (value.to_int(), value.to_float()) {
        assert_eq!(whole as f64, float, "{text:?}");
    }
    let setting = Setting::from(text);
    for kind in [ValueKind::Text, ValueKind::Flag, ValueKind::Integer] {
        convert(kind, &setting);
    }
}

fn formula(text: &str) {
    let Ok(formula) = Formula::parse(text) else {
        return;
    };
    for (time, count, factor) in [
        (Number::Int(600), 0, Number::Int(1)),
        (Number::Int(-1), 7, Number::Float(0.5)),
        (Number::Int(i64::MAX), u32::MAX, Number::Int(i64::MIN)),
        (Number::Float(f64::INFINITY), 1, Number::Float(f64::NAN)),
    ] {
        let random = 0.5;
        let variables = Variables {
            time,
            count,
            factor,
            random,
        };
        let _ = formula.value(&variables);
    }
}

fn words(text: &str) {
    let _ = text::shell_words(text);
    for word in text::words(text) {
        let address = Address::parse(word);
        // what is printed is read as the same again; a net of all addresses has no prefix there
        if !matches!(&address, Address::Net(net) if net.prefix_len() == 0) {
            assert_eq!(Address::parse(&address.to_string()), address, "{word:?}");
        }
        assert!(address.contains(&address) || !matches!(address, Address::Ip(_)));
    }
}
