//! Previews the command that an action would run for a ticket, without running anything.

use super::JailFigures;
use super::info::{BanInfo, History};
use super::plan::Plan;
use super::properties::Properties;
use super::tags::TagError;
use crate::sys::hosts::HostNames;

use crate::address::Address;
use crate::control::{CommandError, Value};
use crate::ticket::{BanTime, Ticket};

/// Commands about a family, and those about a ticket.
const OF_FAMILIES: [&str; 6] = [
    "actionstart",
    "actionstop",
    "actionflush",
    "actioncheck",
    "actionrepair",
    "actionreload",
];
const OF_TICKETS: [&str; 4] = ["actionban", "actionunban", "actionreban", "actionprolong"];

/// A command of an action, for an address as an example.
#[derive(Clone, Debug)]
pub struct Example {
    /// When it runs: `actionstart`, `actionban`, …
    pub operation: &'static str,
    /// For which family; empty where there is no difference.
    pub family: String,
    /// What it does.
    pub plan: Plan,
}

/// An action of a jail that only says what it would do.
#[derive(Clone, Debug)]
pub struct ActionPreview {
    /// Its name in the jail.
    pub name: String,
    properties: Properties,
    names: HostNames,
}

impl ActionPreview {
    /// An action without commands; `names` are those of this machine.
    pub fn new(name: &str, names: HostNames) -> ActionPreview {
        ActionPreview {
            name: name.to_owned(),
            properties: Properties::default(),
            names,
        }
    }

    /// An action with these properties, on a machine without a name.
    pub fn of(name: &str, properties: Properties) -> ActionPreview {
        ActionPreview {
            properties,
            ..ActionPreview::new(name, HostNames::default())
        }
    }

    /// Gives it the names of a machine.
    pub fn set_names(&mut self, names: HostNames) {
        self.names = names;
    }

    /// Sets a property, as the config stream does.
    ///
    /// # Errors
    /// A value of the wrong kind.
    pub fn set(&mut self, name: &str, value: &Value) -> Result<(), CommandError> {
        self.properties.set(name, value).map(|_| ())
    }

    /// The text of the command that `operation` (`actionban`, `actionunban`, …) would run for a
    /// ticket, ready to be pasted into a shell; empty when there is none. Tags of the history show
    /// the ticket's own values.
    ///
    /// # Errors
    /// Properties that refer to themselves.
    pub fn command(
        &mut self,
        operation: &str,
        jail: &str,
        ticket: &Ticket,
        figures: &JailFigures,
    ) -> Result<String, TagError> {
        let plan = self.plan(operation, jail, ticket, figures)?;
        Ok(plan.script.spelled_out())
    }

    /// What that command does.
    ///
    /// # Errors
    /// Properties that refer to themselves.
    pub fn plan(
        &mut self,
        operation: &str,
        jail: &str,
        ticket: &Ticket,
        figures: &JailFigures,
    ) -> Result<Plan, TagError> {
        let family = ticket.ip().family().map_or("", |family| family.as_str());
        let mut info = BanInfo::new(jail, ticket, figures, &History::None);
        let command = self.properties.command(operation, family, &self.names)?;
        Ok(Plan::of(info.fill_alone(&command, &self.names)))
    }

    /// The text of the command of an operation without a ticket (`actionstart`, `actionstop`) for
    /// a family, or for none.
    ///
    /// # Errors
    /// Properties that refer to themselves.
    pub fn operation(
        &mut self,
        operation: &str,
        family: &str,
        jail: &str,
        now: f64,
        figures: &JailFigures,
    ) -> Result<String, TagError> {
        self.operation_plan(operation, family, jail, now, figures)
            .map(|plan| plan.script.spelled_out())
    }

    /// What that command does.
    ///
    /// # Errors
    /// Properties that refer to themselves.
    pub fn operation_plan(
        &mut self,
        operation: &str,
        family: &str,
        jail: &str,
        now: f64,
        figures: &JailFigures,
    ) -> Result<Plan, TagError> {
        let mut info = BanInfo::empty(jail, Some(family), now, figures, &History::None);
        let command = self.properties.command(operation, family, &self.names)?;
        Ok(Plan::of(info.fill_alone(&command, &self.names)))
    }

    /// Its commands for each family, those that do something.
    ///
    /// # Errors
    /// Properties that refer to themselves.
    pub fn examples(&mut self, jail: &str) -> Result<Vec<Example>, TagError> {
        let figures = JailFigures {
            bantime: 600.0,
            ..JailFigures::default()
        };
        let (families, _) = self.families();
        let mut examples = Vec::new();
        for operation in OF_FAMILIES.into_iter().chain(OF_TICKETS) {
            for family in &families {
                let plan = match OF_TICKETS.contains(&operation) {
                    true => self.plan(operation, jail, &example(family), &figures)?,
                    false => self.operation_plan(operation, family, jail, 0.0, &figures)?,
                };
                // a command that nobody has set is its own tag
                let text = &plan.script.text;
                if !text.is_empty() && *text != format!("<{operation}>") {
                    let family = family.clone();
                    examples.push(Example {
                        operation,
                        family,
                        plan,
                    });
                }
            }
        }
        Ok(examples)
    }

    /// The families it is started for, and whether it waits for the first ban of each.
    pub fn families(&self) -> (Vec<String>, bool) {
        (
            self.properties.families(),
            self.properties.starts_on_demand(),
        )
    }

    /// How long a command may run.
    pub fn timeout(&self) -> Value {
        self.properties.timeout()
    }

    /// Whether it has a command of this name.
    pub fn has(&self, operation: &str) -> bool {
        self.properties.is_true(operation)
    }

    /// Whether it leaves some tickets alone.
    pub fn skips_any(&self) -> bool {
        self.properties.skips_any()
    }
}

/// A ban of an address of this family.
fn example(family: &str) -> Ticket {
    let address = match family {
        "inet6" => "2001:db8::1",
        _ => "192.0.2.1",
    };
    let mut ticket = Ticket::new(Address::parse(address), 0.0);
    ticket.bantime = Some(BanTime::Seconds(600.0));
    ticket
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fields::MatchLine;

    #[test]
    fn commands_are_spelled_out() {
        let mut action = ActionPreview::new("a", HostNames::default());
        for (name, value) in [
            (
                "actionban",
                "<ipt> -I f2b-<name> -s <ip>; echo \"<matches>\" <bantime>",
            ),
            ("actionstart", "<ipt> -N f2b-<name>"),
            ("ipt", "iptables"),
            ("ipt?family=inet6", "ip6tables"),
            ("name", "sshd"),
        ] {
            action.set(name, &value.into()).unwrap();
        }
        let mut ticket = Ticket::new(Address::parse("2001:db8::1"), 0.0);
        ticket.bantime = Some(BanTime::Seconds(60.0));
        ticket.set_matches(&[MatchLine::Text("it's $(x)".into())]);
        let figures = JailFigures::default();
        assert_eq!(
            action
                .command("actionban", "sshd", &ticket, &figures)
                .unwrap(),
            "f2bV_matches='it'\\''s $(x)'\nip6tables -I f2b-sshd -s 2001:db8::1; echo \"$f2bV_matches\" 60"
        );
        assert_eq!(
            action.families(),
            (vec!["inet4".to_owned(), "inet6".to_owned()], true)
        );
        assert_eq!(
            action
                .operation("actionstart", "inet4", "sshd", 0.0, &figures)
                .unwrap(),
            "iptables -N f2b-sshd"
        );
    }
}
