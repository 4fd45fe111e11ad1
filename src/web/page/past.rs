//! What the database tells of the past: bans by day and jail, by hour, and who was banned most often.

use std::collections::HashMap;

use chrono::{Local, TimeZone as _};

use super::chart::{Bar, Chart};
use super::section::Section;
use crate::jail::decision::local_time;
use crate::store::statistics::{Day, RepeatOffender, Statistics};

/// How far it reaches back.
pub const DAYS: u32 = 30;
/// How many of those banned most often are named.
pub const OFFENDERS: u32 = 25;
/// Countries in the picture.
const COUNTRIES: usize = 15;

/// The past in sections.
pub fn sections(past: &Statistics, now: f64) -> Vec<Section> {
    let mut sections = times(past, now);
    sections.push(offenders(&past.offenders));
    sections
}

/// What has a picture: bans by day, by hour of the day, and by country where those are known.
pub fn times(past: &Statistics, now: f64) -> Vec<Section> {
    let mut sections = vec![days(past, now), hours(&past.hours)];
    if !past.countries.is_empty() {
        sections.push(countries(&past.countries));
    }
    sections
}

/// The countries with most bans in the picture, all in the table.
fn countries(countries: &[(String, u32)]) -> Section {
    const COLUMNS: &[&str] = &["Country", "Bans"];
    let rows = countries.iter();
    let rows = rows.map(|(country, bans)| vec![country.clone(), bans.to_string()]);
    let mut section = Section::table("Bans by country".to_owned(), COLUMNS, rows, "");
    let shown = countries.iter().filter(|(country, _)| country.len() == 2);
    let bar = |(country, bans): &(String, u32)| Bar {
        name: country.clone(),
        tick: Some(country.clone()),
        parts: vec![*bans],
    };
    section.chart = Some(Chart {
        title: format!("Bans of the last {DAYS} days by country"),
        series: vec!["bans".to_owned()],
        bars: shown.take(COUNTRIES).map(bar).collect(),
    });
    section
}

fn days(past: &Statistics, now: f64) -> Section {
    const COLUMNS: &[&str] = &["Day", "Bans", "By jail"];
    let row = |jails: &[Day]| {
        let total: u32 = jails.iter().map(|day| day.bans).sum();
        let by_jail: Vec<_> = jails
            .iter()
            .map(|day| format!("{} {}", day.jail, day.bans))
            .collect();
        vec![jails[0].date.clone(), total.to_string(), by_jail.join(", ")]
    };
    let days = past.days.chunk_by(|one, next| one.date == next.date);
    let heading = format!("Bans of the last {DAYS} days");
    let mut section = Section::table(heading, COLUMNS, days.map(row), "None in the database.");
    if !section.rows.is_empty() {
        section.chart = Some(chart_of_days(&past.days, now));
    }
    section
}

/// A bar for each day, also for those without bans.
fn chart_of_days(days: &[Day], now: f64) -> Chart {
    let today = Local.timestamp_opt(now as i64, 0).earliest();
    let today = today.map(|time| time.date_naive()).unwrap_or_default();
    let date = |back: u32| {
        let date = today.checked_sub_days(chrono::Days::new(back.into()));
        date.unwrap_or_default()
    };
    // a week apart, and today
    let tick = |back: u32| {
        back.is_multiple_of(7)
            .then(|| date(back).format("%m-%d").to_string())
    };
    let backs = (0..=DAYS).rev();
    let bars = backs.map(|back| (date(back).to_string(), tick(back)));
    let bars: Vec<(String, Option<String>)> = bars.collect();
    let places: HashMap<&str, usize> = bars
        .iter()
        .map(|(name, _)| name.as_str())
        .zip(0..)
        .collect();
    let counts = days.iter().filter_map(|day| {
        let place = places.get(day.date.as_str())?;
        Some((day.jail.as_str(), *place, day.bans))
    });
    let counts: Vec<_> = counts.collect();
    Chart::stacked("Bans per day, by jail".to_owned(), bars, counts)
}

fn hours(hours: &[u32; 24]) -> Section {
    const COLUMNS: &[&str] = &["From", "Bans"];
    let all = hours.iter().enumerate();
    let row = |(hour, bans): (usize, &u32)| vec![format!("{hour:02}:00"), bans.to_string()];
    let rows = all.clone().filter(|(_, bans)| **bans > 0).map(row);
    let heading = "Bans by hour of the day".to_owned();
    let mut section = Section::table(heading, COLUMNS, rows, "None in the database.");
    let bar = |(hour, bans): (usize, &u32)| Bar {
        name: format!("{hour:02}:00"),
        tick: hour.is_multiple_of(6).then(|| format!("{hour:02}:00")),
        parts: vec![*bans],
    };
    if !section.rows.is_empty() {
        section.chart = Some(Chart {
            title: format!("Bans of the last {DAYS} days by hour of the day"),
            series: vec!["bans".to_owned()],
            bars: all.map(bar).collect(),
        });
    }
    section
}

fn offenders(offenders: &[RepeatOffender]) -> Section {
    const COLUMNS: &[&str] = &["Address", "Bans", "Last", "Jails"];
    let row = |offender: &RepeatOffender| {
        let jails: Vec<_> = offender.jails.iter().map(String::as_str).collect();
        vec![
            offender.id.clone(),
            offender.bans.to_string(),
            local_time(offender.last),
            jails.join(", "),
        ]
    };
    let heading = format!("Banned most often in the last {DAYS} days");
    let rows = offenders.iter().map(row);
    Section::table(heading, COLUMNS, rows, "Nobody more than once.")
}
