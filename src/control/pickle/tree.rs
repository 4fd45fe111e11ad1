//! Nodes to values.
//!
//! Pickles can share objects and fill them after they were made, so values are nodes that refer to each
//! other by number. When the pickle has ended they become a [`Value`], with limits on depth and size. A
//! cycle exceeds the depth; deep values are never built, so none has to be dropped.

use std::borrow::Cow;

use super::{MAX_DEPTH, MAX_TEXT, MAX_VALUES, PickleError};
use crate::control::Reply;
use crate::control::error::CommandError;
use crate::python::Value;

/// Number of a node.
pub(super) type Id = u32;

/// One value; its members are numbers of other nodes.
pub(super) enum PickleNode<'a> {
    None,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(Cow<'a, str>),
    List(Vec<Id>),
    Tuple(Vec<Id>),
    Dict(Vec<(Id, Id)>),
    Class {
        module: Cow<'a, str>,
        name: Cow<'a, str>,
    },
    Call {
        class: Id,
        args: Id,
    },
}

/// A pickle that was read to its end.
pub(super) struct Pickle<'a> {
    pub(super) nodes: Vec<PickleNode<'a>>,
    pub(super) top: Id,
}

impl Pickle<'_> {
    /// The value it stands for.
    pub(super) fn value(&self) -> Result<Value, PickleError> {
        ValueBudget::default().value(self, self.top, 0)
    }

    /// The reply it stands for.
    pub(super) fn reply(&self) -> Result<Reply, PickleError> {
        let (status, content) = match self.node(self.top)? {
            PickleNode::Tuple(items) => match items.as_slice() {
                [status, content] => (self.node(*status)?, *content),
                _ => return Err(PickleError::Unexpected("reply")),
            },
            PickleNode::Text(text) => return Err(PickleError::NoReply(text.clone().into_owned())),
            PickleNode::List(_) => {
                return Err(PickleError::NoReply("the server is shutting down".into()));
            }
            _ => return Err(PickleError::Unexpected("reply")),
        };
        let mut budget = ValueBudget::default();
        if matches!(status, PickleNode::Int(0)) {
            return budget.value(self, content, 1).map(Ok);
        }
        let PickleNode::Call { class, args } = self.node(content)? else {
            return Err(PickleError::Unexpected("reply"));
        };
        let (PickleNode::Class { module, name }, PickleNode::Tuple(args)) =
            (self.node(*class)?, self.node(*args)?)
        else {
            return Err(PickleError::Unexpected("reply"));
        };
        let args = budget.values(self, args, 2)?;
        Ok(Err(CommandError::from_wire(module, name, args)))
    }

    fn node(&self, id: Id) -> Result<&PickleNode<'_>, PickleError> {
        self.nodes
            .get(id as usize)
            .ok_or(PickleError::Unexpected("end of stack"))
    }
}

/// How much of a message has become values.
#[derive(Default)]
struct ValueBudget {
    values: usize,
    text: usize,
}

impl ValueBudget {
    fn value(&mut self, pickle: &Pickle<'_>, id: Id, depth: usize) -> Result<Value, PickleError> {
        self.values += 1;
        if self.values > MAX_VALUES {
            return Err(PickleError::Size);
        }
        if depth > MAX_DEPTH {
            return Err(PickleError::Depth);
        }
        Ok(match pickle.node(id)? {
            PickleNode::None => Value::None,
            PickleNode::Bool(flag) => Value::Bool(*flag),
            PickleNode::Int(number) => Value::Int(*number),
            PickleNode::Float(number) => Value::Float(*number),
            PickleNode::Text(text) => Value::Str(self.text(text)?),
            PickleNode::List(items) => Value::List(self.values(pickle, items, depth + 1)?),
            PickleNode::Tuple(items) => Value::Tuple(self.values(pickle, items, depth + 1)?),
            PickleNode::Dict(pairs) => {
                let mut dict = Vec::with_capacity(pairs.len().min(MAX_VALUES));
                for (key, value) in pairs {
                    dict.push((
                        self.value(pickle, *key, depth + 1)?,
                        self.value(pickle, *value, depth + 1)?,
                    ));
                }
                Value::Dict(dict)
            }
            PickleNode::Call { class, args } => match (pickle.node(*class)?, pickle.node(*args)?) {
                (PickleNode::Class { module, name }, PickleNode::Tuple(args))
                    // the latter is what protocols below 3 call it
                    if (module == "builtins" && name == "str")
                        || (module == "__builtin__" && (name == "str" || name == "unicode")) =>
                {
                    let [text] = args.as_slice() else {
                        return Err(PickleError::Unexpected("call"));
                    };
                    match pickle.node(*text)? {
                        PickleNode::Text(text) => Value::Ip(self.text(text)?),
                        _ => return Err(PickleError::Unexpected("call")),
                    }
                }
                _ => return Err(PickleError::Unexpected("call")),
            },
            PickleNode::Class { .. } => return Err(PickleError::Unexpected("class")),
        })
    }

    fn values(
        &mut self,
        pickle: &Pickle<'_>,
        items: &[Id],
        depth: usize,
    ) -> Result<Vec<Value>, PickleError> {
        let mut values = Vec::with_capacity(items.len().min(MAX_VALUES - self.values));
        for item in items {
            values.push(self.value(pickle, *item, depth)?);
        }
        Ok(values)
    }

    fn text(&mut self, text: &str) -> Result<String, PickleError> {
        self.text += text.len();
        if self.text > MAX_TEXT {
            return Err(PickleError::Size);
        }
        Ok(text.to_owned())
    }
}
