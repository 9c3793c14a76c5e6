//! What was logged as a warning or worse, by whichever thread.

use std::sync::{Mutex, Once};

/// Whether a line that holds all these parts was logged since [`note_log_lines`] was first called.
pub(crate) fn was_logged(parts: &[&str]) -> bool {
    let lines = LINES.lock().unwrap();
    lines.iter().any(|line| parts.iter().all(|part| line.contains(part)))
}

pub(crate) fn note_log_lines() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        log::set_logger(&Lines).unwrap();
        log::set_max_level(log::LevelFilter::Warn);
    });
}

static LINES: Mutex<Vec<String>> = Mutex::new(Vec::new());

struct Lines;

impl log::Log for Lines {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        LINES.lock().unwrap().push(record.args().to_string());
    }

    fn flush(&self) {}
}
