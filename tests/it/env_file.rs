//! `--env-file`: variables from a file, which is watched like every other.

use std::fs;
use std::path::Path;

use crate::support::running::{ENVIRONMENT, Running, file_of};
use crate::support::{
    App, Process, SESSION_SECRET, Setup, assert_no_secret, eventually, folder, replace,
};

fn variables(session: &str, key: &str) -> String {
    format!("# Secrets of the test\nexport SESSION_SECRET=\"{session}\"\nPORTIVE_API_KEY={key}\n")
}

fn check(file: &Path, env_files: &[&Path], environment: &[(&str, &str)]) -> (i32, String) {
    let mut arguments = vec!["check", "--config", file.to_str().unwrap()];
    for path in env_files {
        arguments.extend(["--env-file", path.to_str().unwrap()]);
    }
    let (code, _, said) = Process::finish(&arguments, environment);
    (code, said)
}

#[test]
fn the_environment_wins_and_a_later_file_over_an_earlier_one() {
    let (app, folder) = (App::start(), folder());
    let (file, first, second) = (folder.join("gateway.toml"), folder.join("a"), folder.join("b"));
    let good = ENVIRONMENT[1].1;
    fs::write(&file, file_of(&Setup::new(&app))).unwrap();
    fs::write(&first, variables(SESSION_SECRET, "not-a-key")).unwrap();
    fs::write(&second, variables(SESSION_SECRET, good)).unwrap();
    assert_eq!(check(&file, &[&first, &second], &[]).0, 0);
    let (code, said) = check(&file, &[&second, &first], &[]);
    assert!(code == 2 && said.contains("token.portive.key"), "{said}");
    assert_eq!(check(&file, &[&second, &first], &[("PORTIVE_API_KEY", good)]).0, 0);
    let (code, said) = check(&file, &[], &[]);
    assert!(code == 2 && said.contains("`PORTIVE_API_KEY` is not set; set it, or name"), "{said}");
}

#[test]
fn a_file_that_is_not_one_is_refused_and_not_repeated() {
    let (app, folder) = (App::start(), folder());
    let (file, variables) = (folder.join("gateway.toml"), folder.join(".env"));
    fs::write(&file, file_of(&Setup::new(&app))).unwrap();
    let (code, said) = check(&file, &[&variables], &[]);
    assert!(code == 2 && said.contains("cannot be read: it does not exist"), "{said}");
    fs::write(&variables, "A=1\nhunter2\n").unwrap();
    let (code, said) = check(&file, &[&variables], &[]);
    assert!(code == 2 && said.contains(".env:2: ") && !said.contains("hunter2"), "{said}");
    fs::write(&variables, b"A=\xff\n").unwrap();
    let (code, said) = check(&file, &[&variables], &[]);
    assert!(code == 2 && said.contains("is not UTF-8"), "{said}");
}

#[test]
fn a_changed_file_is_read_again_and_a_broken_one_changes_nothing() {
    let (app, folder) = (App::start(), folder());
    let key = ENVIRONMENT[1].1;
    let (file, env_file) = (folder.join("gateway.toml"), folder.join(".env"));
    fs::write(&env_file, variables(SESSION_SECRET, key)).unwrap();
    let text = file_of(&Setup::new(&app).server("watch = \"50ms\""));
    let running = Running::start_with_env_file(&file, &text, &env_file);
    assert_eq!(running.token("ada"), 200);
    replace(&env_file, variables("canary-of-another-session-secret", key));
    eventually("the new secret", || running.token("ada") == 401);
    replace(&env_file, "nothing\n");
    eventually("the refusal", || running.reloads("refused") == 1);
    fs::remove_file(&env_file).unwrap();
    eventually("another refusal", || running.reloads("refused") == 2);
    assert_eq!(running.token("ada"), 401, "the old policy stays");
    replace(&env_file, variables(SESSION_SECRET, key));
    eventually("the first secret", || running.token("ada") == 200);
    assert_no_secret("standard error", running.process.errors().as_bytes());
}
