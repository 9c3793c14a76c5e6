//! What log lines say, and the form they keep to. Knows no program.

/// A field's value in a log line.
pub(crate) fn field<'a>(line: &'a str, name: &str) -> &'a str {
    let (_, value) = line.split_once(&format!("| {name}: ")).unwrap_or_else(|| panic!("{line}"));
    value.split(" | ").next().unwrap()
}

/// How many bets are in the batches that a server says it has stored.
pub(crate) fn bets_received(lines: &[String]) -> u64 {
    let stored = "action: apuesta_recibida | result: success";
    let stored = lines.iter().filter(|line| line.contains(stored));
    stored.map(|line| field(line, "cantidad").parse::<u64>().unwrap()).sum()
}

pub(crate) fn count(lines: &[String], part: &str) -> usize {
    lines.iter().filter(|line| line.contains(part)).count()
}

/// Holds log lines against the form that deployed tools parse, and that nothing failed.
pub(crate) fn assert_healthy_log(lines: &[String]) {
    for line in lines {
        assert_form(line);
        assert!(!line.contains("fail"), "a healthy run says fail: {line}");
    }
}

pub(crate) fn assert_form(line: &str) {
    let form = "0000-00-00 00:00:00 ";
    let (time, rest) = line.split_at_checked(form.len()).unwrap_or_else(|| panic!("{line:?}"));
    let time: String = time.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    assert_eq!(time, form, "{line}");
    let (level, message) = rest.split_at_checked(9).unwrap_or_else(|| panic!("{line:?}"));
    assert!(
        ["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"].contains(&level.trim_end()),
        "{line}"
    );
    let fields: Vec<(&str, &str)> = message
        .split(" | ")
        .map(|field| field.split_once(": ").unwrap_or_else(|| panic!("no field {field:?}: {line}")))
        .collect();
    assert_eq!(fields[0].0, "action", "{line}");
    assert_eq!(fields[1].0, "result", "{line}");
    assert!(["success", "fail", "in_progress"].contains(&fields[1].1), "{line}");
    for (name, value) in &fields[2..] {
        assert!(!["source", "action", "result"].contains(name), "{line}");
        assert!(!value.contains('|'), "{line}");
    }
}
