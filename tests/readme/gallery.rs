//! The gallery holds: one block for each preset, and each of them, copied below
//! the ten lines, is read and mints.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::pages::{self, texts};
use super::{folder, portcullis, problems_of};

pub(super) const PAGE: &str = "deploy/guides/vendors.md";

/// The README's first configuration without its token, which a block of the
/// gallery takes the place of.
fn ten_lines() -> String {
    pages::ten_lines().split_once("[token.").expect("a token").0.to_owned()
}

/// The whole gallery as one text.
fn gallery() -> String {
    texts(PAGE, "toml").join("\n")
}

/// Every `[token.NAME]` of the gallery, by name.
fn tokens() -> BTreeMap<String, String> {
    let text = gallery();
    let tables = text.split("[token.").skip(1);
    tables
        .map(|table| {
            let name = table.split_once(']').unwrap().0;
            (name.to_owned(), format!("[token.{table}"))
        })
        .collect()
}

fn preset_of(table: &str) -> &str {
    let (_, rest) = table.split_once("preset = \"").expect("a preset");
    rest.split_once('"').unwrap().0
}

/// Secrets that open nothing, a session, and what browsers ask for.
fn fixture() -> Value {
    serde_json::from_str(include_str!("../fixtures/gallery.json")).unwrap()
}

fn secrets(fixture: &Value) -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/tokens");
    let content = |value: &str| match (value.strip_prefix("base64 of "), value) {
        (Some(file), _) => STANDARD.encode(std::fs::read(folder.join(file)).unwrap()),
        (None, file) if file.starts_with("keys/") => {
            std::fs::read_to_string(folder.join(file)).unwrap()
        }
        (None, text) => text.to_owned(),
    };
    let named = fixture["secrets"].as_object().unwrap();
    named.iter().map(|(name, value)| (name.clone(), content(value.as_str().unwrap()))).collect()
}

struct Reader {
    folder: PathBuf,
    fixture: Value,
    secrets: Vec<(String, String)>,
}

impl Reader {
    /// Somebody who put `tokens` below the ten lines.
    fn of(name: &str, tokens: &str) -> Self {
        let folder = folder(&format!("readme-gallery-{name}"), &(ten_lines() + tokens));
        let fixture = fixture();
        let secrets = secrets(&fixture);
        Self { folder, fixture, secrets }
    }

    fn run(&self, arguments: &[&str]) -> (i32, String, String) {
        let mut command: Command = portcullis(&self.folder, arguments);
        let output = command.envs(self.secrets.iter().cloned()).output().unwrap();
        let stdout = String::from_utf8(output.stdout).unwrap();
        (output.status.code().unwrap_or(-1), stdout, problems_of(output.stderr))
    }

    fn mint(&self, name: &str) -> Value {
        let session = self.fixture["session"].to_string();
        let asked = &self.fixture["requests"][name];
        let request = if asked.is_null() { "{}".to_owned() } else { asked.to_string() };
        let arguments = ["token", name, "--json", "--session", &session, "--request", &request];
        let (_, stdout, stderr) = self.run(&arguments);
        serde_json::from_str(&stdout).unwrap_or_else(|_| panic!("{name}: {stdout}{stderr}"))
    }
}

#[test]
fn the_gallery_has_a_block_for_each_preset() {
    let nobody = Reader::of("presets", "");
    let (_, presets, _) = nobody.run(&["presets"]);
    let mut presets: Vec<_> = presets.lines().filter_map(|line| line.split(' ').next()).collect();
    presets.sort_unstable();
    let tokens = tokens();
    let mut shown: Vec<_> = tokens.values().map(|table| preset_of(table)).collect();
    shown.sort_unstable();
    assert_eq!(shown, presets);
}

#[test]
fn every_block_of_the_gallery_is_read_below_the_ten_lines() {
    for (name, table) in tokens() {
        assert_eq!(problems(&Reader::of(&name, &table)), None, "{table}");
    }
}

#[test]
fn all_blocks_of_the_gallery_fit_into_one_file() {
    let all = gallery();
    assert_eq!(problems(&Reader::of("all", &all)), None);
}

/// The output of `check`, unless it is `ok` with or without the names of published keys.
fn problems(reader: &Reader) -> Option<(i32, String, String)> {
    let (code, stdout, stderr) = reader.run(&["check"]);
    let is_fine = |line: &str| line == "ok" || line.ends_with(": signs, published");
    let fine = code == 0 && stderr.is_empty() && stdout.lines().all(is_fine);
    (!fine || !stdout.ends_with("ok\n")).then_some((code, stdout, stderr))
}

#[test]
fn every_block_of_the_gallery_mints() {
    let all = Reader::of("mints", &gallery());
    for (name, table) in tokens() {
        let (_, preset, _) = all.run(&["presets", preset_of(&table)]);
        let minted = all.mint(&name);
        if preset.contains("kind = \"exchange\"") {
            // Its issuer is far away; `tests/interop` puts one next door.
            assert_eq!(minted["code"], "unavailable", "{name}: {minted}");
        } else {
            assert_eq!(minted["outcome"], "minted", "{name}: {minted}");
            assert!(minted["token"].as_str().is_some_and(|token| token.len() > 20), "{name}");
        }
    }
}

#[test]
fn a_room_of_another_organisation_is_refused_by_the_gallery() {
    let mut all = Reader::of("refuses", &gallery());
    for (name, input) in [("livekit", "room"), ("daily", "room"), ("zoom-video", "session_name")] {
        all.fixture["requests"][name][input] = "rival-standup".into();
        assert_eq!(all.mint(name)["code"], "not_allowed", "{name}");
    }
    all.fixture["requests"]["pusher"]["channel_name"] = "presence-rival-lobby".into();
    assert_eq!(all.mint("pusher")["code"], "not_allowed");
}
