//! What `--help` prints, in one form for all programs: how it is called, in one sentence what it is for,
//! arguments and options in two columns, examples, exit codes.

use clap::{Arg, Command};

use super::table;

/// Column at which meanings begin.
const COLUMN: usize = 28;

/// What somebody wants, and the call that does it.
pub type Example = (&'static str, &'static str);

/// Gives a command line its help text. Its `about` is the sentence, its `after_help` the exit codes.
pub fn formed(mut command: Command, examples: &[Example]) -> Command {
    command.build();
    let usage = command.render_usage().to_string();
    let mut text: String = usage
        .lines()
        .map(|line| table::folded(line, 7) + "\n")
        .collect();
    if let Some(about) = command.get_about() {
        text.push_str(&format!("\n{}\n", table::folded(&about.to_string(), 0)));
    }
    let visible = command.get_arguments().filter(|arg| !arg.is_hide_set());
    let (positional, options): (Vec<&Arg>, Vec<&Arg>) =
        visible.partition(|arg| arg.is_positional());
    let rows = |args: &[&Arg]| args.iter().map(|arg| (form(arg), meaning(arg))).collect();
    let subcommands = command.get_subcommands().map(|subcommand| {
        let about = subcommand.get_about().map(ToString::to_string);
        (subcommand.get_name().to_owned(), about.unwrap_or_default())
    });
    let sections: [(&str, Vec<(String, String)>); 3] = [
        ("Commands", subcommands.collect()),
        ("Arguments", rows(&positional)),
        ("Options", rows(&options)),
    ];
    for (heading, rows) in sections.iter().filter(|(_, rows)| !rows.is_empty()) {
        let mut lines = vec![format!("\n{heading}:")];
        for (form, meaning) in rows {
            explain(form, meaning, COLUMN, &mut lines);
        }
        text.push_str(&format!("{}\n", lines.join("\n")));
    }
    text.push_str(&shown(examples));
    if let Some(codes) = command.get_after_help() {
        text.push_str(&format!("\n{}\n", table::folded(&codes.to_string(), 0)));
    }
    command.override_help(text.trim_end().to_owned() + "\n")
}

/// The examples of a help text, with an empty line before them.
pub fn shown(examples: &[Example]) -> String {
    let mut text = "\nExamples:\n".to_owned();
    for (wish, call) in examples {
        text.push_str(&format!("    {wish}:\n        {call}\n"));
    }
    text
}

/// `-c, --config <DIR>`
fn form(arg: &Arg) -> String {
    match arg.get_short().filter(|_| arg.get_long().is_some()) {
        Some(short) => format!("-{short}, {arg}"),
        None => arg.to_string(),
    }
}

/// What help says of it, and its default.
fn meaning(arg: &Arg) -> String {
    let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
    if arg.get_id() == "help" {
        return "print help".to_owned();
    }
    // a switch is off, which goes without saying
    let takes_values = arg.get_action().takes_values();
    let defaults = arg.get_default_values().iter().filter(|_| takes_values);
    let defaults: String = defaults
        .map(|value| format!(" [default: {}]", value.to_string_lossy()))
        .collect();
    format!("{help}{defaults}")
}

/// A form and its meaning in two columns; a long form stands alone in its line.
pub fn explain(form: &str, meaning: &str, column: usize, lines: &mut Vec<String>) {
    /// Width of a line.
    const WIDTH: usize = 79;
    let form = format!("    {form}");
    let mut line = if form.len() + 2 <= column || meaning.is_empty() {
        format!("{form:<column$}")
    } else {
        lines.push(form);
        " ".repeat(column)
    };
    for word in meaning.split(' ') {
        if line.len() > column && line.len() + word.len() >= WIDTH {
            lines.push(line.trim_end().to_owned());
            line = " ".repeat(column);
        }
        line.push_str(word);
        line.push(' ');
    }
    lines.push(line.trim_end().to_owned());
}
