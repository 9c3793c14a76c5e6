//! The time zone of log lines: the one that `TZ` or the machine names. Opens no file itself.
//!
//! The zone is found once. chrono's own local time reads whatever `TZ` names up to its end, be it a
//! device, and does so again in each thread and when the machine's zone changes.

use std::error::Error;
use std::ffi::{OsStr, OsString};
use std::io::{self, ErrorKind};

use chrono::{DateTime, FixedOffset, Utc};
use thiserror::Error;
use tz::{TimeZone, TimeZoneSettings};

/// The longest file of a zone. Those of the tz database have up to 4 KiB.
pub const ZONE_FILE_BYTES_MAX: u64 = 1 << 20;
/// Where the machine's own zone is.
const MACHINE_FILE: &str = "/etc/localtime";

/// Reads a file. It must not wait, nor read what is no regular file, or one of more than
/// [`ZONE_FILE_BYTES_MAX`].
pub type ReadZoneFile = fn(path: &str) -> Result<Vec<u8>, Box<dyn Error + Send + Sync>>;

/// How local time differs from UTC.
#[derive(Debug)]
pub struct Zone(TimeZone);

/// A zone was named that is none.
#[derive(Debug, Error)]
pub enum UnknownZone {
    /// By the environment.
    #[error(
        "TZ is {0:?}, which names neither a rule nor the file of a time zone (a regular one of at \
         most 1 MiB)"
    )]
    Variable(OsString),
    /// By the machine.
    #[error("{MACHINE_FILE} is not the file of a time zone (a regular one of at most 1 MiB)")]
    Machine,
}

impl Default for Zone {
    fn default() -> Self {
        Self(TimeZone::utc())
    }
}

impl Zone {
    /// The zone that `tz`, the value of the variable `TZ`, names, or else the machine's. UTC where
    /// neither names one.
    ///
    /// # Errors
    /// [`UnknownZone`]: what is named is no zone.
    pub fn find(tz: Option<&OsStr>, read: ReadZoneFile) -> Result<Self, UnknownZone> {
        let Some(name) = tz else { return Self::of_machine(read) };
        if name.is_empty() {
            return Ok(Self::default());
        }
        let settings = TimeZoneSettings::new(TimeZoneSettings::DEFAULT_DIRECTORIES, read);
        let zone = name.to_str().and_then(|name| settings.parse_posix_tz(name).ok());
        zone.map(Self).ok_or_else(|| UnknownZone::Variable(name.to_owned()))
    }

    fn of_machine(read: ReadZoneFile) -> Result<Self, UnknownZone> {
        match read(MACHINE_FILE) {
            Ok(bytes) => TimeZone::from_tz_data(&bytes).map(Self).map_err(|_| UnknownZone::Machine),
            // As in an image that holds nothing but a program.
            Err(error) if is_missing(&*error) => Ok(Self::default()),
            Err(_) => Err(UnknownZone::Machine),
        }
    }

    /// A time as it is called in this zone.
    #[must_use]
    pub fn local(&self, time: DateTime<Utc>) -> DateTime<FixedOffset> {
        let offset = FixedOffset::east_opt(self.seconds_east_at(time.timestamp()));
        offset.map_or_else(|| time.fixed_offset(), |offset| time.with_timezone(&offset))
    }

    fn seconds_east_at(&self, unix_time: i64) -> i32 {
        let zone = self.0.as_ref();
        let found = zone.find_local_time_type(unix_time).ok();
        // A file of the first format says nothing of the time after its last change: it is taken to
        // go on.
        let last =
            || zone.local_time_types().get(zone.transitions().last()?.local_time_type_index());
        found.or_else(last).map_or(0, tz::LocalTimeType::ut_offset)
    }
}

fn is_missing(error: &(dyn Error + 'static)) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == ErrorKind::NotFound)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file of the first format: UTC, from 1970 on two hours east of it, and nothing after that.
    const TWO_HOURS: &[u8] = b"TZif\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\
        \0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\0\0\0\x02\0\0\0\x08\
        \0\0\0\0\x01\0\0\0\0\0\0\0\0\x1c\x20\0\x04UTC\0EET\0";

    fn read(path: &str) -> Result<Vec<u8>, Box<dyn Error + Send + Sync>> {
        match path {
            "/two/hours" | "/usr/share/zoneinfo/Two/Hours" => Ok(TWO_HOURS.to_vec()),
            "/text" => Ok(b"no zone".to_vec()),
            "/device" | "/etc/localtime" => Err("not a regular file".into()),
            _ => Err(io::Error::from(ErrorKind::NotFound).into()),
        }
    }

    fn shown(zone: &Zone, seconds: i64) -> String {
        let time = DateTime::from_timestamp(seconds, 0).unwrap();
        zone.local(time).format("%Y-%m-%d %H:%M:%S").to_string()
    }

    #[test]
    fn a_variable_names_a_file_or_a_rule_and_nothing_else() {
        let east = "2024-08-21 14:00:00";
        for (name, expected) in [
            ("", Some("2024-08-21 12:00:00")),
            ("UTC0", Some("2024-08-21 12:00:00")),
            ("<-03>3", Some("2024-08-21 09:00:00")),
            ("CET-1CEST,M3.5.0,M10.5.0/3", Some(east)),
            ("/two/hours", Some(east)),
            (":/two/hours", Some(east)),
            ("Two/Hours", Some(east)),
            (":Two/Hours", Some(east)),
            ("Nowhere/Else", None),
            ("/device", None),
            (":/device", None),
            ("../../../device", None),
            ("/text", None),
            ("/missing", None),
            ("localtime", None),
        ] {
            let zone = Zone::find(Some(OsStr::new(name)), read);
            match (&zone, expected) {
                (Ok(zone), Some(expected)) => {
                    assert_eq!(shown(zone, 1_724_241_600), expected, "{name}");
                }
                (Err(error), None) => assert!(error.to_string().contains(name), "{error}"),
                _ => panic!("{name}: {zone:?}"),
            }
        }
    }

    #[test]
    fn without_a_variable_it_is_the_machine_s_zone_and_utc_where_that_has_none() {
        assert!(matches!(Zone::find(None, read), Err(UnknownZone::Machine)));
        assert!(matches!(Zone::find(None, |_| Ok(Vec::new())), Err(UnknownZone::Machine)));
        let found = Zone::find(None, |_| read("/two/hours")).unwrap();
        assert_eq!(shown(&found, 0), "1970-01-01 02:00:00");
        assert_eq!(shown(&found, -1), "1969-12-31 23:59:59");
        let missing = Zone::find(None, |_| read("/missing")).unwrap();
        assert_eq!(shown(&missing, 0), "1970-01-01 00:00:00");
    }
}
