//! Writes sample files: the same seed gives the same bytes, on every platform and in every version.
//! Sends nothing.
//!
//! ```text
//! agency-N.csv    Santiago Lionel,Lorca,30904465,1999-03-17,2201␍␊    no header, numbers unpadded
//! ```
//! One bet in [`FAVOURITE_ONE_IN`] is on the favourite number, `seed % 10000`, so that small
//! samples show winners when it is drawn. One in [`REGULAR_ONE_IN`] is a regular's, who bets at
//! every agency: documents repeat.

use std::fmt::{self, Write as _};
use std::fs;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use bolillero_fs::{Access, WholeFile, create_directory};
use bolillero_protocol::bet::Bet;
use chrono::{Days, NaiveDate};
use indicatif::HumanBytes;

/// One bet in this many is on the favourite number.
pub const FAVOURITE_ONE_IN: u64 = 250;
/// One bet in this many is that of a person who bets again and again.
pub const REGULAR_ONE_IN: u64 = 10;
/// How many such persons there are.
const REGULARS: u64 = 500;
/// Progress is told every so many bets.
const BETS_PER_STEP: u64 = 4096;
/// Room for the bytes gathered before a write.
const BUFFER_SIZE: usize = 64 << 10;

/// What is to be generated.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// How many agencies.
    pub agencies: u32,
    /// Bets per agency.
    pub bets: u64,
    /// Where all chance comes from.
    pub seed: u64,
}

/// The name of an agency's file.
#[must_use]
pub fn file_name(agency: u32) -> String {
    format!("agency-{agency}.csv")
}

/// What was written, for a person: `bytes` in all.
#[must_use]
pub fn summary(plan: &Plan, directory: &Path, bytes: u64) -> String {
    let Plan { agencies, bets, seed } = plan;
    let (directory, first) = (directory.display(), file_name(1));
    let files = match agencies {
        1 => format!("1 file, {first},"),
        _ => format!("{agencies} files, {first} to {},", file_name(*agencies)),
    };
    let bytes = HumanBytes(bytes);
    format!("wrote {files} to {directory}: {bets} bets each, {bytes} in all, seed {seed}")
}

/// Writes an agency's file, which has its name only once it is whole; returns its size in bytes. `watch`
/// is told how many bets were added. Only the owner may read the file, and a directory that is made for it.
///
/// # Errors
/// Whatever the file system fails with. Then a file that was there is as it was.
pub fn write_file(
    plan: &Plan,
    agency: u32,
    path: &Path,
    watch: &mut dyn FnMut(u64),
) -> io::Result<u64> {
    if let Some(directory) = path.parent() {
        create_directory(directory, Access::Owner)?;
    }
    let mut out = BufWriter::with_capacity(BUFFER_SIZE, WholeFile::create(path, Access::Owner)?);
    write_bets(plan, agency, &mut out, watch)?;
    out.into_inner().map_err(io::IntoInnerError::into_error)?.replace()?;
    Ok(fs::metadata(path)?.len())
}

/// Writes an agency's rows.
///
/// # Errors
/// Whatever `out` fails with.
pub fn write_bets(
    plan: &Plan,
    agency: u32,
    out: &mut impl Write,
    watch: &mut dyn FnMut(u64),
) -> io::Result<()> {
    let mut sample = Sample::new(plan.seed, agency);
    for index in 0..plan.bets {
        sample.advance();
        let Bet { first_name, last_name, document, birth_date, number, .. } = sample.bet("");
        write!(out, "{first_name},{last_name},{document},{birth_date},{number}\r\n")?;
        if (index + 1) % BETS_PER_STEP == 0 {
            watch(BETS_PER_STEP);
        }
    }
    watch(plan.bets % BETS_PER_STEP);
    Ok(())
}

/// The bets of one agency, one after another, without end: those of its file, whatever they are
/// made for.
pub(crate) struct Sample {
    seed: u64,
    chance: Chance,
    first_name: String,
    last_name: &'static str,
    document: String,
    birth_date: String,
    number: String,
}

impl Sample {
    /// Before the first bet.
    pub(crate) fn new(seed: u64, agency: u32) -> Self {
        Self {
            seed,
            chance: Chance::new(&[seed, u64::from(agency)]),
            first_name: String::new(),
            last_name: "",
            document: String::new(),
            birth_date: String::new(),
            number: String::new(),
        }
    }

    /// Makes the next bet.
    pub(crate) fn advance(&mut self) {
        let mut person = if self.chance.one_in(REGULAR_ONE_IN) {
            Chance::new(&[self.seed, u64::MAX, self.chance.below(REGULARS)])
        } else {
            Chance::new(&[self.chance.next()])
        };
        self.meet(&mut person);
        let favourite = self.chance.one_in(FAVOURITE_ONE_IN);
        let number = if favourite { self.seed % 10_000 } else { self.chance.below(10_000) };
        show(&mut self.number, number);
    }

    /// The bet that was made last, as one of the agency with this id.
    pub(crate) fn bet<'a>(&'a self, agency: &'a str) -> Bet<'a> {
        Bet {
            agency,
            first_name: &self.first_name,
            last_name: self.last_name,
            document: &self.document,
            birth_date: &self.birth_date,
            number: &self.number,
        }
    }

    /// Takes down what belongs to a person.
    fn meet(&mut self, person: &mut Chance) {
        let names = if person.one_in(2) { WOMEN } else { MEN };
        let first = person.pick(names);
        self.first_name.clear();
        self.first_name.push_str(first);
        if !person.one_in(3) {
            let second = person.pick(names);
            if second != first {
                self.first_name.push(' ');
                self.first_name.push_str(second);
            }
        }
        self.last_name = person.pick(LAST_NAMES);
        show(&mut self.document, 20_000_000 + person.below(20_000_000));
        show(&mut self.birth_date, FIRST_BIRTH_DATE + Days::new(person.below(BIRTH_DATES)));
    }
}

fn show(text: &mut String, value: impl fmt::Display) {
    text.clear();
    write!(text, "{value}").expect("writing to a string does not fail");
}

/// The earliest day of birth, and how many days there are from it on: up to 2004-12-31.
const FIRST_BIRTH_DATE: NaiveDate = NaiveDate::from_ymd_opt(1980, 1, 1).expect("a real day");
const BIRTH_DATES: u64 = 9132;

#[rustfmt::skip]
const MEN: &[&str] = &[
    "Agustín", "Andrés", "Ariel", "Axel", "Bautista", "Benjamín", "Ciro", "Diego", "Emanuel",
    "Ezequiel", "Gabriel", "Ignacio", "Iñaki", "Joaquín", "Julián", "Lautaro", "Lionel", "Martín",
    "Matías", "Nahuel", "Nicolás", "Ramón", "Santiago", "Sebastián", "Simón", "Thiago", "Tomás",
    "Uriel", "Valentín", "Vicente",
];
#[rustfmt::skip]
const WOMEN: &[&str] = &[
    "Abigail", "Abril", "Agustina", "Ailén", "Antonella", "Ayelén", "Begoña", "Belén", "Camila",
    "Candela", "Catalina", "Emilia", "Guadalupe", "Jazmín", "Julieta", "Luján", "Luz", "Magalí",
    "María", "Martina", "Micaela", "Milagros", "Pilar", "Rocío", "Sofía", "Soledad", "Trinidad",
    "Valentina", "Violeta", "Zoe",
];
#[rustfmt::skip]
const LAST_NAMES: &[&str] = &[
    "Abadía", "Acuña", "Álvarez", "Arredondo", "Borges", "Carrizo", "Castillo", "Castro", "D'Elia",
    "De León", "De Luca", "Díaz", "Duarte", "Espinoza", "Fernández", "Galán", "Giménez", "Godoy",
    "Goicochea", "Gonzáles", "Hernández", "Huarte", "Ibáñez", "Jiménez", "Leiva", "López", "Lorca",
    "Mamani", "Marín", "Martínez", "Mejía", "Muñoz", "Núñez", "Ordóñez", "Pavón", "Peña", "Pereyra",
    "Quispe", "Ramírez", "Rivera", "Rodríguez", "Rojas", "Saldaña", "Sánchez", "Silva", "Sosa",
    "Varela", "Vargas", "Vera", "Yáñez", "Zambrano", "Zúñiga",
];

/// SplitMix64 (Steele, Lea, Flood 2014), written out here because its sequence is a promise of
/// ours: no crate's update may change what a seed generates.
struct Chance {
    state: u64,
}

impl Chance {
    /// A sequence of its own for each key.
    fn new(key: &[u64]) -> Self {
        let mut chance = Self { state: 0 };
        for part in key {
            chance.state = chance.next() ^ part;
        }
        chance
    }

    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// 0 to `limit` - 1. The bias, `limit` in 2^64, is nothing to a sample.
    fn below(&mut self, limit: u64) -> u64 {
        let wide = u128::from(self.next()) * u128::from(limit);
        u64::try_from(wide >> 64).expect("the upper half of a product fits")
    }

    fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    fn pick<'a>(&mut self, texts: &[&'a str]) -> &'a str {
        let index = usize::try_from(self.below(texts.len() as u64)).expect("an index fits");
        texts[index]
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use crate::source::Source;

    use super::*;

    fn rows(agency: u32, bets: u64, seed: u64) -> Vec<u8> {
        let mut out = Vec::new();
        let mut told = 0;
        let plan = Plan { agencies: 5, bets, seed };
        write_bets(&plan, agency, &mut out, &mut |bets| told += bets).unwrap();
        assert_eq!(told, bets);
        out
    }

    #[test]
    fn the_sequence_is_that_of_splitmix64() {
        let mut chance = Chance { state: 1_234_567 };
        let first = [chance.next(), chance.next(), chance.next()];
        let known =
            [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423];
        assert_eq!(first, known);
    }

    #[test]
    fn every_row_is_a_bet_and_some_documents_repeat_and_some_names_are_double_or_accented() {
        let file = rows(1, 10_000, 7574);
        let mut source = Source::new(file.as_slice(), "generated", 1);
        let mut documents = HashSet::new();
        let (mut bets, mut favourites, mut double, mut accented) = (0, 0, 0, 0);
        while source.advance().unwrap() {
            let bet = source.bet();
            bets += 1;
            assert_eq!(bet.document.len(), 8);
            assert!(bet.number == "0" || !bet.number.starts_with('0'));
            documents.insert(bet.document.to_owned());
            favourites += u32::from(bet.number == "7574");
            double += u32::from(bet.first_name.contains(' '));
            accented += u32::from(!bet.last_name.is_ascii());
        }
        assert_eq!(bets, 10_000);
        assert!((9_000..9_990).contains(&documents.len()), "{}", documents.len());
        assert!((20..80).contains(&favourites), "{favourites}");
        assert!(double > 1000 && accented > 1000);
        assert!(file.ends_with(b"\r\n"));
    }

    #[test]
    fn the_seed_and_the_agency_decide_and_a_longer_file_begins_like_a_shorter_one() {
        let file = rows(2, 100, 1);
        assert_eq!(file, rows(2, 100, 1));
        assert_ne!(file, rows(3, 100, 1));
        assert_ne!(file, rows(2, 100, 2));
        assert!(rows(2, 200, 1).starts_with(&file));
    }
}
