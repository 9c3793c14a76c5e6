//! Times and sizes as they are typed. The errors name the flag and what was typed.

use std::time::Duration;

use anyhow::{Context as _, ensure};

/// The shortest deadline that can be asked for: what checks them is not finer.
pub const TIMEOUT_MIN: Duration = Duration::from_millis(10);
/// The longest time that can be asked for.
pub const TIME_MAX: Duration = Duration::from_hours(366 * 24);

pub(super) fn flag<T>(
    name: &str,
    text: &str,
    parse: impl Fn(&str) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    parse(text).with_context(|| format!("--{name} {text}"))
}

pub(super) fn time_flag(name: &str, text: &str) -> anyhow::Result<Duration> {
    let parse = |text: &str| humantime::parse_duration(text).ok().filter(|time| *time <= TIME_MAX);
    flag(name, text, |text| parse(text).context("not a time like 250ms, 60s or 10m, up to a year"))
}

/// A time after which a connection is closed.
pub(super) fn deadline_flag(name: &str, text: &str) -> anyhow::Result<Duration> {
    let time = time_flag(name, text)?;
    ensure!(time >= TIMEOUT_MIN, "--{name} {text}: at least 10ms");
    Ok(time)
}

pub(super) fn size_flag<T: TryFrom<u64>>(name: &str, text: &str) -> anyhow::Result<T> {
    let size =
        flag(name, text, |text| parse_size(text).context("not a size like 512, 64KiB or 1MiB"))?;
    T::try_from(size).ok().with_context(|| format!("--{name} {text}: too large"))
}

/// A number of bytes: plain, or in KiB, MiB or GiB.
fn parse_size(text: &str) -> Option<u64> {
    let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
    let unit: u64 = match text[digits.len()..].trim() {
        "" | "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return None,
    };
    digits.parse::<u64>().ok()?.checked_mul(unit)
}
