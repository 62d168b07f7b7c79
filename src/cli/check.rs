//! `portcullis check`: all problems, or `ok`.

use std::path::Path;
use std::process::ExitCode;

use super::file::File;
use super::print;
use crate::config::Config;

pub(super) fn check(path: &Path) -> ExitCode {
    let file = match File::read(path) {
        Ok(file) => file,
        Err(code) => return code,
    };
    match Config::read(&file.text, &file.secrets) {
        Ok(_) => {
            print("ok");
            ExitCode::SUCCESS
        }
        Err(problems) => file.refuse(&problems),
    }
}
