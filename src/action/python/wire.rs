//! Python values as JSON, both ways: a tuple is `{"tuple": […]}` and a dictionary
//! `{"dict": [[key, value], …]}`, since JSON has no tuples and only text for keys.
#![forbid(unsafe_code)]

use serde_json::{Value as Json, json};

use crate::control::Value;

/// Levels of nested lists that are read.
const DEPTH: usize = 32;

/// A value as the child reads it.
pub(super) fn pack(value: &Value) -> Json {
    match value {
        Value::None => Json::Null,
        Value::Bool(flag) => json!(flag),
        Value::Int(number) => json!(number),
        Value::Float(number) => json!(number),
        Value::Str(text) | Value::Ip(text) => json!(text),
        Value::List(items) => items.iter().map(pack).collect(),
        Value::Tuple(items) => json!({"tuple": items.iter().map(pack).collect::<Vec<_>>()}),
        Value::Dict(pairs) => {
            let pairs = pairs.iter().map(|(key, value)| [pack(key), pack(value)]);
            json!({"dict": pairs.collect::<Vec<_>>()})
        }
    }
}

/// A value that the child wrote; `None` stands for what it never writes.
pub(super) fn unpack(json: &Json) -> Value {
    unpack_to(json, DEPTH)
}

fn unpack_to(json: &Json, depth: usize) -> Value {
    let Some(depth) = depth.checked_sub(1) else {
        return Value::None;
    };
    let items = |items: &[Json]| -> Vec<Value> {
        items.iter().map(|item| unpack_to(item, depth)).collect()
    };
    match json {
        Json::Null => Value::None,
        Json::Bool(flag) => Value::Bool(*flag),
        Json::Number(number) => match number.as_i64() {
            Some(number) => Value::Int(number),
            None => Value::Float(number.as_f64().unwrap_or(f64::NAN)),
        },
        Json::String(text) => Value::Str(text.clone()),
        Json::Array(array) => Value::List(items(array)),
        Json::Object(object) => match (object.get("tuple"), object.get("dict")) {
            (Some(Json::Array(array)), _) => Value::Tuple(items(array)),
            (_, Some(Json::Array(pairs))) => {
                let pair = |pair: &Json| (unpack_to(&pair[0], depth), unpack_to(&pair[1], depth));
                Value::Dict(pairs.iter().map(pair).collect())
            }
            _ => Value::None,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_survive_the_way_there_and_back() {
        let value = Value::Dict(vec![
            (
                "a".into(),
                Value::Tuple(vec![Value::Int(1), Value::Float(2.0)]),
            ),
            (
                Value::Int(2),
                Value::List(vec![Value::None, Value::Bool(true)]),
            ),
            ("".into(), Value::Dict(Vec::new())),
        ]);
        let text = pack(&value).to_string();
        assert_eq!(unpack(&serde_json::from_str(&text).unwrap()), value);
    }

    #[test]
    fn what_is_nested_too_deep_or_malformed_is_none() {
        let mut deep = json!(1);
        for _ in 0..100 {
            deep = json!([deep]);
        }
        assert!(unpack(&deep).repr().contains("None"));
        assert_eq!(unpack(&json!({"x": 1})), Value::None);
        assert_eq!(
            unpack(&json!({"dict": [7]})),
            Value::Dict(vec![(Value::None, Value::None)])
        );
    }
}
