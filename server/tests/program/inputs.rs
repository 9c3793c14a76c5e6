//! The bets that the programs are tried on: the data set that `BOLILLERO_DATASET` names, or, where
//! it names none, the sample that comes with the sources.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Once;

use crate::tell_skipped;

/// The number that wins in every draw here.
pub(crate) const WINNING_NUMBER: u16 = 7574;

/// The directory with the data set: agency-1.csv to agency-5.csv.
const DATASET: &str = "BOLILLERO_DATASET";

/// Files of bets, agency 1's first.
pub(crate) struct Inputs {
    pub(crate) files: Vec<PathBuf>,
    /// Whether it is the data set, of which the results are known.
    pub(crate) is_dataset: bool,
}

impl Inputs {
    pub(crate) fn find() -> Self {
        let dataset = env::var_os(DATASET).map(PathBuf::from);
        let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.data");
        let directory = dataset.as_deref().unwrap_or(&sample);
        if dataset.is_none() {
            static ONCE: Once = Once::new();
            let what = format!(
                "the main job on the data set, {DATASET} is not set; on the sample instead"
            );
            ONCE.call_once(|| tell_skipped(&what));
        }
        let files = (1..=5).map(|id| directory.join(format!("agency-{id}.csv"))).collect();
        Self { files, is_dataset: dataset.is_some() }
    }

    /// The same bets as those of `parts` times as many agencies.
    pub(crate) fn split(&self, parts: usize, directory: &Path) -> Self {
        let mut files = Vec::new();
        for rows in self.files.iter().map(|file| read_rows(file)) {
            for part in rows.chunks(rows.len().div_ceil(parts)) {
                let file = directory.join(format!("part-{}.csv", files.len() + 1));
                fs::write(&file, part.concat()).unwrap();
                files.push(file);
            }
        }
        assert_eq!(files.len(), self.files.len() * parts);
        Self { files, is_dataset: false }
    }

    pub(crate) fn bets(&self) -> u64 {
        self.bets_of_each().iter().sum()
    }

    /// How many bets each agency has.
    pub(crate) fn bets_of_each(&self) -> Vec<u64> {
        self.files.iter().map(|file| read_rows(file).len() as u64).collect()
    }

    /// What `export` gives once all of them are stored.
    pub(crate) fn exported(&self) -> Vec<u8> {
        let mut exported = Vec::new();
        for (id, file) in (1..).zip(&self.files) {
            for row in read_rows(file) {
                exported.extend_from_slice(format!("{id},{row}").as_bytes());
            }
        }
        if self.is_dataset {
            let rows = exported.iter().filter(|&&byte| byte == b'\n').count();
            assert_eq!((rows, exported.len()), (78_697, 3_814_423));
        }
        exported
    }

    /// How many bets of each agency win.
    pub(crate) fn winners(&self) -> Vec<u64> {
        let wins = |row: &&String| {
            let number = row.trim_end().rsplit(',').next().unwrap();
            number.parse::<u16>().unwrap() == WINNING_NUMBER
        };
        let winners: Vec<u64> = self
            .files
            .iter()
            .map(|file| read_rows(file).iter().filter(wins).count() as u64)
            .collect();
        if self.is_dataset {
            assert_eq!(winners, [2, 3, 3, 2, 0]);
        }
        winners
    }
}

/// Rows with their line ends.
fn read_rows(file: &Path) -> Vec<String> {
    let text =
        fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    text.split_inclusive('\n').map(str::to_owned).collect()
}
