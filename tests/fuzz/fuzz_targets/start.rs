//! The first step of every target: write its seeds where libFuzzer will look.

use super::targets;

/// Writes the seeds to the folder `SEEDS` names, if it names one.
pub(crate) fn seed(name: &str) {
    let Some(folder) = std::env::var_os("SEEDS") else { return };
    for (number, seed) in (targets::named(name).seeds)().iter().enumerate() {
        let file = std::path::Path::new(&folder).join(format!("seed-{number:04}"));
        std::fs::write(file, seed).expect("the folder is there");
    }
}
