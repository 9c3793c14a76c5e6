//! What `bolillero bet` is told: the bet as well, which is checked here by the office's own rules.

use std::path::Path;

use bolillero_protocol::bet::Bet;
use bolillero_protocol::error::BetProblem;
use bolillero_protocol::list::can_travel;

use super::client::{LoopOptions, sources};
use super::sources::{Environment, Found, Key, Sources, read_file};
use super::{ClientConfig, UsageError, env_file};
use crate::args::BetArgs;
use crate::connect::Listener;
use crate::source::BYTE_ORDER_MARK;

/// The files that are looked for when none is named; the first that is there is read.
pub const ENV_FILES_DEFAULT: [&str; 2] = [".env", "client/.env"];

/// The fields in their order on the wire: what each is called in an error, and where it may stand.
const FIELDS: [(&str, Key); 5] = [
    ("first name", field("first-name", "NOMBRE")),
    ("last name", field("last-name", "APELLIDO")),
    ("document", field("document", "DOCUMENTO")),
    ("birth date", field("birth-date", "NACIMIENTO")),
    ("number", field("number", "NUMERO")),
];

const fn field(option: &'static str, name: &'static str) -> Key {
    Key { option, variable: name, file: Some(name) }
}

/// What `bolillero bet` is to do.
#[derive(Debug)]
pub struct BetConfig {
    /// Whom to work for, and where.
    pub client: ClientConfig,
    agency: String,
    /// In the order of [`FIELDS`].
    fields: [String; 5],
}

impl BetConfig {
    /// Finds out what was meant.
    ///
    /// # Errors
    /// [`UsageError`] names the first setting that cannot be meant. Of the bet it tells the field
    /// and its source, never the value: bettors are persons.
    pub fn new(args: &BetArgs, environment: &Environment<'_>) -> Result<Self, UsageError> {
        let settings = sources(&args.client.server, environment)?;
        let (sought, typed) = (Listener::Office, LoopOptions::default());
        let client = ClientConfig::new(&args.client, sought, typed, &settings)?;
        let found = find_fields(args, environment)?;
        let fields = found.each_ref().map(|found| found.text.clone());
        let config = Self { agency: client.id.to_string(), client, fields };
        config.check(&found)?;
        Ok(config)
    }

    /// The bet.
    #[must_use]
    pub fn bet(&self) -> Bet<'_> {
        let [first_name, last_name, document, birth_date, number] = &self.fields;
        Bet { agency: &self.agency, first_name, last_name, document, birth_date, number }
    }

    fn check(&self, found: &[Found; 5]) -> Result<(), UsageError> {
        for (field, (name, _)) in found.iter().zip(FIELDS) {
            if !can_travel(&field.text) {
                let problem = format!("{name} is not free of '#' and control characters");
                return Err(field.wrong_and_private(problem));
            }
            if field.text.contains(BYTE_ORDER_MARK) {
                let problem = format!("{name} holds a byte order mark (U+FEFF): remove it");
                return Err(field.wrong_and_private(problem));
            }
        }
        let field_of = |problem| match problem {
            BetProblem::Name("first name") => &found[0],
            BetProblem::Name(_) => &found[1],
            BetProblem::Document => &found[2],
            BetProblem::BirthDate => &found[3],
            _ => &found[4],
        };
        let checked = self.bet().check_fields();
        checked.map_err(|problem| field_of(problem).wrong_and_private(problem.to_string()))
    }
}

fn find_fields(args: &BetArgs, environment: &Environment<'_>) -> Result<[Found; 5], UsageError> {
    let default = || ENV_FILES_DEFAULT.map(Path::new).into_iter().find(|path| path.exists());
    let file = args.env_file.as_deref().or_else(default);
    let file = file.map(|path| read_file(path, env_file::read)).transpose()?;
    let sources = Sources { environment, file };
    let typed = [&args.first_name, &args.last_name, &args.document, &args.birth_date, &args.number];
    let mut found = Vec::with_capacity(FIELDS.len());
    for ((name, key), typed) in FIELDS.iter().zip(typed) {
        found.push(sources.find(key, typed.as_deref())?.ok_or_else(|| UsageError {
            setting: format!("no {name} is given"),
            problem: format!(
                "use --{}, or {} in the environment or in .env",
                key.option, key.variable
            ),
        })?);
    }
    Ok(found.try_into().expect("as many as there are fields"))
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use clap::Parser as _;

    use super::*;
    use crate::args::{Args, Command};

    const FILE: &str = "NOMBRE=Santiago Lionel\nAPELLIDO=Lorca\nDOCUMENTO=30904465\n\
        NACIMIENTO=1999-03-17\nNUMERO=7574";

    /// The fields of the bet, of agency 1, with `file` as the file of the bet.
    fn bet(
        options: &[&str],
        environment: &[(&str, &str)],
        file: &str,
    ) -> Result<[String; 5], String> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("bet.env");
        std::fs::write(&path, file).unwrap();
        let typed = ["bolillero", "bet", "--id", "1", "--env-file", path.to_str().unwrap()];
        let typed = typed.iter().chain(options);
        let Command::Bet(args) = Args::try_parse_from(typed).unwrap().command else {
            panic!("not bet")
        };
        let find = |name: &str| environment.iter().find(|(key, _)| *key == name);
        let environment = |name: &str| find(name).map(|(_, value)| OsString::from(value));
        let config = BetConfig::new(&args, &environment).map_err(|error| error.to_string())?;
        assert_eq!(config.bet().agency, "1");
        Ok(config.fields)
    }

    #[test]
    fn a_flag_is_before_the_environment_before_the_file() {
        let file = ["Santiago Lionel", "Lorca", "30904465", "1999-03-17", "7574"];
        assert_eq!(bet(&[], &[], FILE).unwrap(), file);
        let environment = [("NOMBRE", "Ana"), ("NUMERO", " 1 ")];
        let mixed = ["Ana", "Lorca", "30904465", "1999-03-17", "1"];
        assert_eq!(bet(&[], &environment, FILE).unwrap(), mixed);
        let options = ["--first-name", "Eva", "--document", "007"];
        let typed = ["Eva", "Lorca", "007", "1999-03-17", "1"];
        assert_eq!(bet(&options, &environment, FILE).unwrap(), typed);
        let all = ["--first-name=A", "--last-name=B", "--document=1", "--birth-date=2000-02-29"];
        let typed = bet(&[&all[..], &["--number=0000"]].concat(), &[], "").unwrap();
        assert_eq!(typed, ["A", "B", "1", "2000-02-29", "0000"]);
    }

    #[test]
    fn a_field_that_is_wrong_is_told_with_its_source_and_without_its_value() {
        type Variable = (&'static str, &'static str);
        let rows: [(&[&str], Variable, &str, &str); 9] = [
            (&[], ("NOMBRE", "\u{feff}Ana"), "NOMBRE in the environment: ", "a byte order mark"),
            (&["--first-name", "A#B"], ("X", ""), "--first-name: ", "free of '#'"),
            (&[], ("NOMBRE", ""), "NOMBRE in the environment: ", "first name is not 1 to 64"),
            (&[], ("APELLIDO", "a\u{7}"), "APELLIDO in the environment: ", "last name is not free"),
            (&["--last-name", ""], ("X", ""), "--last-name: ", "last name is not 1 to 64"),
            (&["--document", "1x"], ("X", ""), "--document: ", "document is not 1 to 12 digits"),
            (&[], ("NACIMIENTO", "2001-02-29"), "NACIMIENTO in the environment: ", "YYYY-MM-DD"),
            (&["--number", "10000"], ("X", ""), "--number: ", "number is not 0 to 9999"),
            (&[], ("NUMERO", "-1"), "NUMERO in the environment: ", "number is not 0 to 9999"),
        ];
        for (options, variable, begin, said) in rows {
            let error = bet(options, &[variable], FILE).unwrap_err();
            assert!(error.starts_with(begin) && error.contains(said), "{error}");
            for value in options.iter().skip(1).chain([&variable.1]).filter(|value| value.len() > 1)
            {
                assert!(!error.contains(*value), "{error}");
            }
        }
        let error = bet(&[], &[], &FILE.replace("30904465", "30.904.465")).unwrap_err();
        assert!(error.starts_with("DOCUMENTO in /") && error.contains("bet.env, line 3: "));
        let error = bet(&[], &[], "NOMBRE=Ana").unwrap_err();
        assert!(error.contains("no last name is given: use --last-name, or APELLIDO"), "{error}");
    }
}
