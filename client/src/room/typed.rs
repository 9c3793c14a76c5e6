//! What a typed line asks. Knows neither who types nor where it goes.

/// How many messages `/history` asks for by itself.
pub const HISTORY_DEFAULT: u64 = 10;
/// What `/help` tells.
pub const HELP: [&str; 5] = [
    "/who          who is here",
    "/history [N]  the last N messages, 10 unless it is given",
    "/exit         leaves; so do ctrl-d and ctrl-c",
    "/help         this",
    "//x           says /x; all else is said as it is",
];

/// What a line asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Typed<'a> {
    /// To say it.
    Say(&'a str),
    /// Who is there.
    Who,
    /// The last messages, so many.
    History(u64),
    /// What can be typed.
    Help,
    /// To leave.
    Exit,
    /// Nothing: it is blank.
    Nothing,
    /// No command, or not as it is written: what to tell.
    Unknown(String),
}

impl<'a> Typed<'a> {
    /// Reads a line, which has no end of line.
    #[must_use]
    pub fn read(line: &'a str) -> Self {
        let Some(command) = line.strip_prefix('/') else {
            return if line.trim().is_empty() { Self::Nothing } else { Self::Say(line) };
        };
        if command.starts_with('/') {
            return Self::Say(command);
        }
        let words: Vec<_> = command.split_whitespace().collect();
        match words[..] {
            ["who"] => Self::Who,
            ["history"] => Self::History(HISTORY_DEFAULT),
            ["history", count] => match count.parse() {
                Ok(count @ 1..) => Self::History(count),
                _ => Self::Unknown(format!("/history {count}: how many is a number from 1 on")),
            },
            ["help"] => Self::Help,
            ["exit"] => Self::Exit,
            _ => Self::Unknown(format!(
                "{} is no command, and was not said: /help tells what is; //x says /x",
                line.trim_end()
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_said_or_is_a_command_or_is_told_to_be_neither() {
        let rows = [
            ("hola", Typed::Say("hola")),
            (" /who", Typed::Say(" /who")),
            ("a /who", Typed::Say("a /who")),
            ("//who", Typed::Say("/who")),
            ("///", Typed::Say("//")),
            ("", Typed::Nothing),
            (" \t", Typed::Nothing),
            ("/who", Typed::Who),
            ("/who  ", Typed::Who),
            ("/history", Typed::History(10)),
            ("/history 3", Typed::History(3)),
            ("/history  50 ", Typed::History(50)),
            ("/help", Typed::Help),
            ("/exit", Typed::Exit),
        ];
        for (line, expected) in rows {
            assert_eq!(Typed::read(line), expected, "{line:?}");
        }
        for line in
            ["/", "/ who", "/Who", "/who ana", "/history 0", "/history -1", "/quit", "/exit 1"]
        {
            let Typed::Unknown(told) = Typed::read(line) else { panic!("{line:?}") };
            assert!(told.starts_with(line), "{told}");
        }
    }
}
