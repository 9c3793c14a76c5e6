//! How objects of the room are shown: a line each, in which nothing steers a terminal. Knows
//! nothing of the guest who reads it.

use bolillero_protocol::room::Value;
use bolillero_protocol::visible;

/// Text in which all is visible and one line: the rest is escaped.
#[must_use]
pub fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' => plain.push_str("\\n"),
            '\r' => plain.push_str("\\r"),
            '\t' => plain.push_str("\\t"),
            c => visible::push(&mut plain, c),
        }
    }
    plain
}

/// A content: text as it is, anything else as JSON.
#[must_use]
pub fn content(value: &Value<'_>) -> String {
    plain(&value.as_text().unwrap_or_else(|| value.as_json().to_owned()))
}

/// Who is meant: a name, or the number of a guest without one.
#[must_use]
pub fn guest(value: &Value<'_>) -> String {
    match value.as_number() {
        Some(number) => format!("guest {number}"),
        None if *value == Value::NULL => "somebody".to_owned(),
        None => content(value),
    }
}

/// Those who are present.
#[must_use]
pub fn present(value: &Value<'_>) -> String {
    let names = value.as_list().map(|guests| guests.iter().map(guest).collect::<Vec<_>>());
    names.map_or_else(|| content(value), |names| names.join(", "))
}

#[cfg(test)]
mod tests {
    use bolillero_protocol::room::Objects;

    use super::*;

    /// The content of an object, as it comes.
    fn value(json: &str, show: impl Fn(&Value<'_>) -> String) -> String {
        let bytes = format!("{{\"content\": {json}}}");
        let mut objects = Objects::default();
        let (_, object) = objects.next(bytes.as_bytes());
        show(&object.unwrap().unwrap().content)
    }

    #[test]
    fn content_is_shown_as_text_or_json_and_steers_nothing() {
        for (json, shown) in [
            (r#""hola""#, "hola"),
            (r#""¡qué tal, \"Leo\"!""#, "¡qué tal, \"Leo\"!"),
            (r#""a\nb\tc\rd""#, "a\\nb\\tc\\rd"),
            (r#""\u001b[2J\u0007\u0000""#, "\\u001b[2J\\u0007\\u0000"),
            ("\"\u{9b}2J\u{7f}\"", "\\u009b2J\\u007f"),
            ("\"\u{202e}txt.exe\u{2066}\"", "\\u202etxt.exe\\u2066"),
            ("\"ana\u{200b} a\u{fe0f}\u{61c}\u{feff}\"", "ana\\u200b a\\ufe0f\\u061c\\ufeff"),
            ("\"\u{e0041}\u{ad}\u{2028}\"", "\\u{e0041}\\u00ad\\u2028"),
            ("7", "7"),
            ("{\"a\":\n[1, null]}", "{\"a\":\\n[1, null]}"),
            ("\"\\ud800\"", "\"\\ud800\""),
            ("[\"\u{9b}\"]", "[\"\\u009b\"]"),
            ("null", "null"),
        ] {
            assert_eq!(value(json, content), shown, "{json}");
        }
    }

    #[test]
    fn guests_have_names_or_numbers() {
        for (json, shown) in [
            (r#""ana""#, "ana"),
            ("3", "guest 3"),
            ("null", "somebody"),
            (r#""\u001b[31m""#, "\\u001b[31m"),
            ("-1", "-1"),
        ] {
            assert_eq!(value(json, guest), shown, "{json}");
        }
        for (json, shown) in [
            (r#"["ana", 3, "leo"]"#, "ana, guest 3, leo"),
            ("[]", ""),
            ("7", "7"),
            (r#"["\u001b"]"#, "\\u001b"),
        ] {
            assert_eq!(value(json, present), shown, "{json}");
        }
    }
}
