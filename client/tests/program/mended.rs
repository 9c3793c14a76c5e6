//! A file with a row that is no bet: it is named, mended, and the same command goes on, as a container
//! does that is started again.

use std::fs;
use std::process::Output;

use crate::office::{Office, bodies, rows};
use crate::setting::{Setting, finish, program, stderr};

/// As the generated compose file starts an agency: by the environment and mounted files alone.
fn start(setting: &Setting) -> Output {
    let directory = setting.file().parent().unwrap().to_owned();
    fs::create_dir_all(directory.join(".data")).unwrap();
    fs::create_dir_all(directory.join("client")).unwrap();
    fs::copy(setting.file(), directory.join(".data/agency-1.csv")).unwrap();
    fs::write(directory.join("client/config.yaml"), "batch:\n  maxAmount: 10\n").unwrap();
    let mut command = program(&["agency"]);
    command.current_dir(directory).env("CLI_ID", "1");
    command.env("CLI_SERVER_ADDRESS", setting.served.address.to_string());
    finish(command)
}

#[test]
fn a_bad_row_is_mended_by_an_edit_of_the_file_alone() {
    for bad in ["Ana,Paz,x,1990-01-01,1\r\n", "\u{feff}Ana,Paz,1,1990-01-01,1\r\n", "no row\r\n"] {
        let setting = Setting::new(Office::default(), &format!("{}{bad}{}", rows(55), rows(20)));
        for _ in 0..2 {
            let output = start(&setting);
            assert_eq!(output.status.code(), Some(1), "{output:?}");
            let told = stderr(&output);
            assert!(told.contains(".data/agency-1.csv: line 56: "), "{told}");
            assert!(told.contains("Mend the row and start again with the same options"), "{told}");
            assert!(!told.contains("--cut-before"), "{told}");
            assert_eq!(setting.served.bodies(1), bodies(&rows(50), 10));
        }
        let mended = format!("{}Ana,Paz,1,1990-01-01,1\r\n{}", rows(55), rows(20));
        fs::write(setting.file(), &mended).unwrap();
        let output = start(&setting);
        assert!(output.status.success(), "{output:?}");
        assert_eq!(setting.served.bodies(1), bodies(&mended, 10));
    }
}

#[test]
fn a_file_in_another_encoding_is_named_and_nothing_of_it_is_sent() {
    let text = "Begoña,Peña,30000001,1990-01-01,7\r\n".repeat(20);
    let utf_16: Vec<_> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let latin_1: Vec<_> = text.chars().map(|c| u8::try_from(u32::from(c)).unwrap()).collect();
    let rows = [
        (utf_16, "bets.csv is UTF-16 (little-endian): save it as UTF-8, for example by `iconv"),
        (
            latin_1,
            "bets.csv: line 1: byte 0xF1 is not UTF-8 (first name); the file looks like Latin-1",
        ),
    ];
    for (file, said) in rows {
        let setting = Setting::new(Office::default(), "");
        fs::write(setting.file(), file).unwrap();
        let output = setting.agency(&[]);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        assert!(stderr(&output).contains(said), "{output:?}");
        assert!(setting.served.bodies(1).is_empty());
    }
}

#[test]
fn what_cannot_be_gone_on_with_is_not_begun() {
    for bad in ["Ana,Paz,x,1990-01-01,1\r\n", "\"Ana\"x,Paz,1,1990-01-01,1\r\n"] {
        let setting = Setting::new(Office::default(), &format!("{}{bad}", rows(100)));
        let output = setting.agency(&["--base", "--batch-bets-max", "10"]);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        let told = stderr(&output);
        assert!(
            told.contains("nothing was sent: reading ") && told.contains("line 101: "),
            "{told}"
        );
        assert_eq!(setting.served.office.lock().unwrap().requests, 0);
    }
}
