//! Key material: read by reference, kept out of sight.
//!
//! A `Secret` cannot be printed, compares in constant time and is wiped when
//! dropped. `gateway.toml` holds references only (`env:NAME`, `file:PATH`,
//! `credential:NAME`); nothing here repeats a reference that does not parse,
//! because it may be the secret itself, pasted into the file by mistake.

use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use zeroize::Zeroizing;

use crate::base::digest::Digest;
use crate::base::env_file::{self, BadLine, Variables};
use crate::base::lock::Lock;
use crate::base::secret_like;
use crate::base::text::from_hex;

/// Secret bytes: no `Display`, a `Debug` that prints nothing.
#[derive(Clone)]
pub struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    pub fn new(bytes: impl Into<Vec<u8>>) -> Self {
        Self(Zeroizing::new(bytes.into()))
    }

    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// The secret as text, where a format needs text (PEM, JSON, a combined key).
    pub fn text(&self) -> Option<&str> {
        std::str::from_utf8(&self.0).ok()
    }

    /// Whether it is made of so few different characters that guessing it is cheap,
    /// however long it is.
    pub fn is_monotonous(&self) -> bool {
        const FEWEST: usize = 6;
        self.0.iter().collect::<BTreeSet<_>>().len() < FEWEST
    }

    /// Digests of all the keys this text may be written for: itself, and what it holds in
    /// base64 or hex.
    pub(crate) fn readings(&self) -> Vec<Digest> {
        let text = self.text().unwrap_or_default().trim();
        let unpadded = text.trim_end_matches('=');
        let decoded = [
            STANDARD_NO_PAD.decode(unpadded).ok(),
            URL_SAFE_NO_PAD.decode(unpadded).ok(),
            from_hex(text.as_bytes()),
            Some(text.as_bytes().to_vec()),
        ];
        let decoded = decoded.into_iter().flatten().filter(|bytes| !bytes.is_empty());
        let decoded = decoded.map(|bytes| Self::new(bytes).digest());
        std::iter::once(self.digest()).chain(decoded).collect()
    }

    /// A digest that tells two secrets apart without revealing either.
    pub fn digest(&self) -> Digest {
        Digest::new(&self.0)
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        same_bytes(&self.0, &other.0)
    }
}

impl Eq for Secret {}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

/// Compares in a time that does not depend on where the values differ.
pub(crate) fn same_bytes(left: &[u8], right: &[u8]) -> bool {
    aws_lc_rs::constant_time::verify_slices_are_equal(left, right).is_ok()
}

/// The source of references.
#[derive(Clone, Debug)]
pub enum Secrets {
    /// Every text is the secret itself. For test vectors; no command uses it.
    Literal,
    /// The process: its environment and the files that stand in for it, files (relative
    /// to `folder`), and the service manager's credentials folder.
    Process { folder: PathBuf, files: Files, variables: Variables },
}

/// The files that references led to, whether or not they could be read: a change
/// of any of them is a change of the configuration.
#[derive(Clone, Debug, Default)]
pub struct Files(Arc<Lock<BTreeSet<PathBuf>>>);

impl Files {
    fn note(&self, path: &Path) {
        self.0.lock().insert(path.to_owned());
    }

    /// All files so far.
    pub fn all(&self) -> BTreeSet<PathBuf> {
        self.0.lock().clone()
    }
}

/// Why a reference gave no secret. The text never repeats the reference unless
/// it is plainly a name or a path.
#[derive(Debug, PartialEq, Eq)]
pub enum SecretError {
    BadEncoding(&'static str),
    Empty(String),
    NotAReference,
    NoCredentials(String),
    /// The path only where it plainly is one.
    Unreadable {
        path: Option<PathBuf>,
        why: std::io::ErrorKind,
    },
    Unset(String),
}

impl fmt::Display for SecretError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BadEncoding(which) => {
                write!(f, "the value starts with `{which}:` but what follows is not {which}")
            }
            Self::Empty(reference) => write!(f, "{reference} is empty"),
            Self::NotAReference => f.write_str(
                "found a string that is not a reference (not repeated here, it may be a secret); \
                 keep the secret outside the file and write \"env:NAME\", \"file:PATH\" or \
                 \"credential:NAME\"",
            ),
            Self::NoCredentials(name) if secret_like::is_name(name) => write!(
                f,
                "credential `{name}` was asked for, but CREDENTIALS_DIRECTORY is not set; \
                 add LoadCredential={name}:PATH to the systemd unit"
            ),
            Self::NoCredentials(_) => f.write_str(
                "a credential was asked for, but CREDENTIALS_DIRECTORY is not set; add \
                 LoadCredential=NAME:PATH to the systemd unit (the name is not repeated here, it \
                 may be a secret)",
            ),
            Self::Unreadable { path: Some(path), why } => {
                write!(f, "file `{}` cannot be read: {}", path.display(), io_words(*why))
            }
            Self::Unreadable { path: None, why } => write!(
                f,
                "a file cannot be read: {} (its path is not repeated here, it may be a secret)",
                io_words(*why)
            ),
            Self::Unset(name) if secret_like::is_name(name) => write!(
                f,
                "environment variable `{name}` is not set; set it, or name the file that has it \
                 with --env-file"
            ),
            Self::Unset(_) => f.write_str(
                "an environment variable is not set (its name is not repeated here, it may be a \
                 secret); write \"env:NAME\", and set NAME or name the file that has it with \
                 --env-file",
            ),
        }
    }
}

impl std::error::Error for SecretError {}

impl Secrets {
    /// As the process sees them, relative paths starting from `folder`.
    pub fn of_process(folder: impl Into<PathBuf>) -> Self {
        let variables = Variables::default();
        Self::Process { folder: folder.into(), files: Files::default(), variables }
    }

    /// Takes variables from a file, for names the environment does not have; a later file
    /// wins over an earlier one. On a problem, says which.
    pub fn read_env_file(&mut self, path: &Path) -> Result<(), String> {
        let Self::Process { files, variables, .. } = self else { return Ok(()) };
        files.note(path);
        variables.extend(read_env_file(path)?);
        Ok(())
    }

    /// The files that were read so far.
    pub fn files(&self) -> BTreeSet<PathBuf> {
        match self {
            Self::Literal => BTreeSet::new(),
            Self::Process { files, .. } => files.all(),
        }
    }

    /// The content at a path, or behind a reference: for settings that are files by
    /// nature.
    pub fn resolve_file(&self, text: &str) -> Result<Secret, SecretError> {
        let has_scheme =
            ["credential:", "env:", "file:"].iter().any(|scheme| text.starts_with(scheme));
        // The file itself, pasted in.
        if text.contains("-----") || text.contains('\n') {
            return Err(SecretError::NotAReference);
        }
        match self {
            Self::Literal => read(Path::new(text)),
            Self::Process { .. } if has_scheme => self.resolve(text),
            Self::Process { folder, files, .. } => read_noted(folder, text, files),
        }
    }

    /// The secret behind `reference`: one trailing newline dropped, a value that
    /// starts with `base64:` or `hex:` decoded.
    pub fn resolve(&self, reference: &str) -> Result<Secret, SecretError> {
        match self {
            Self::Literal => decode(reference.as_bytes().to_vec(), "the value"),
            Self::Process { folder, files, variables } => {
                from_process(reference, folder, files, variables)
            }
        }
    }
}

fn from_process(
    reference: &str,
    folder: &Path,
    files: &Files,
    variables: &Variables,
) -> Result<Secret, SecretError> {
    let (scheme, name) = reference.split_once(':').ok_or(SecretError::NotAReference)?;
    match scheme {
        "credential" if is_name(name) => {
            let directory = environment("CREDENTIALS_DIRECTORY")
                .ok_or_else(|| SecretError::NoCredentials(name.to_owned()))?;
            read_noted(Path::new(&directory), name, files)
        }
        "env" if is_name(name) => {
            let value = match (environment(name), variables.value(name)) {
                (Some(value), _) => value.into_encoded_bytes(),
                (None, Some(value)) => value.as_bytes().to_vec(),
                (None, None) => return Err(SecretError::Unset(name.to_owned())),
            };
            decode(value, &format!("environment variable `{name}`"))
        }
        "file" if !name.is_empty() => read_noted(folder, name, files),
        _ => Err(SecretError::NotAReference),
    }
}

/// Letters, digits, `_`, `-` and `.`: what variables and credentials are called.
fn is_name(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= 128
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-.".contains(&b))
        && name != ".."
        && name != "."
}

#[expect(clippy::disallowed_methods, reason = "the one place that reads the environment")]
fn environment(name: &str) -> Option<std::ffi::OsString> {
    std::env::var_os(name)
}

fn read_noted(folder: &Path, name: &str, files: &Files) -> Result<Secret, SecretError> {
    let path = folder.join(name);
    files.note(&path);
    read(&path).map_err(|error| match error {
        SecretError::Unreadable { why, .. } if !secret_like::is_path(name) => {
            SecretError::Unreadable { path: None, why }
        }
        other => other,
    })
}

fn read(path: &Path) -> Result<Secret, SecretError> {
    let bytes = std::fs::read(path).map_err(|error| SecretError::Unreadable {
        path: Some(path.to_owned()),
        why: error.kind(),
    })?;
    decode(bytes, &format!("file `{}`", path.display()))
}

fn decode(bytes: Vec<u8>, origin: &str) -> Result<Secret, SecretError> {
    let bytes = Zeroizing::new(bytes);
    let value = bytes.strip_suffix(b"\n").unwrap_or(&bytes);
    let value = value.strip_suffix(b"\r").unwrap_or(value);
    let secret = if let Some(text) = value.strip_prefix(b"base64:") {
        let decoded = STANDARD.decode(text).map_err(|_| SecretError::BadEncoding("base64"))?;
        Secret::new(decoded)
    } else if let Some(text) = value.strip_prefix(b"hex:") {
        Secret::new(from_hex(text).ok_or(SecretError::BadEncoding("hex"))?)
    } else {
        Secret::new(value)
    };
    if secret.bytes().is_empty() {
        return Err(SecretError::Empty(origin.to_owned()));
    }
    Ok(secret)
}

fn read_env_file(path: &Path) -> Result<Variables, String> {
    let shown = path.display();
    let bytes = std::fs::read(path).map(Zeroizing::new).map_err(|error| {
        format!("--env-file {shown}: cannot be read: {}", io_words(error.kind()))
    })?;
    let text = std::str::from_utf8(&bytes)
        .map_err(|_| format!("--env-file {shown}: is not UTF-8 text"))?;
    env_file::parse(text).map_err(|BadLine(line)| {
        format!("{shown}:{line}: found a line without `=` (not repeated here, it may be a secret), expected NAME=value")
    })
}

fn io_words(kind: std::io::ErrorKind) -> String {
    match kind {
        std::io::ErrorKind::NotFound => "it does not exist".to_owned(),
        std::io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        std::io::ErrorKind::IsADirectory => "it is a folder".to_owned(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process() -> Secrets {
        Secrets::of_process(std::env::temp_dir())
    }

    #[test]
    fn a_secret_is_never_printed() {
        assert_eq!(format!("{:?}", Secret::new("hunter2")), "Secret");
    }

    #[test]
    fn a_literal_in_the_file_is_refused_and_not_repeated() {
        for literal in
            ["hunter2", "PRTV_abc_def", "sk:live", "env:", "file:", "env:a b", "http://x"]
        {
            let error = process().resolve(literal).unwrap_err();
            assert_eq!(error, SecretError::NotAReference, "{literal}");
            assert!(!error.to_string().contains(literal) || literal.ends_with(':'), "{literal}");
        }
    }

    #[test]
    fn one_trailing_newline_is_dropped_and_prefixes_are_decoded() {
        let read = |text: &str| Secrets::Literal.resolve(text).unwrap().bytes().to_vec();
        assert_eq!(read("abc\n"), b"abc");
        assert_eq!(read("abc\r\n"), b"abc");
        assert_eq!(read("abc\n\n"), b"abc\n");
        assert_eq!(read("base64:AAEC"), [0, 1, 2]);
        assert_eq!(read("hex:00ffA0"), [0, 255, 160]);
    }

    #[test]
    fn an_invalid_key_is_an_error() {
        assert_eq!(Secrets::Literal.resolve("base64:***"), Err(SecretError::BadEncoding("base64")));
        assert_eq!(Secrets::Literal.resolve("hex:abc"), Err(SecretError::BadEncoding("hex")));
        assert_eq!(Secrets::Literal.resolve("\n"), Err(SecretError::Empty("the value".into())));
        assert_eq!(
            process().resolve("env:PORTCULLIS_TEST_UNSET"),
            Err(SecretError::Unset("PORTCULLIS_TEST_UNSET".into()))
        );
        let missing = process().resolve("file:/nonexistent/key").unwrap_err();
        assert_eq!(
            missing.to_string(),
            "file `/nonexistent/key` cannot be read: it does not exist"
        );
    }
    #[test]
    fn what_may_be_a_secret_is_not_repeated_as_a_name_or_a_path() {
        for pasted in ["sk_live_51HxhuU2eZvKYlo2C", "PRTV_123_abc", "PRTV_abc_def"] {
            for scheme in ["credential", "env", "file"] {
                let error = process().resolve(&format!("{scheme}:{pasted}")).unwrap_err();
                assert!(!error.to_string().contains(pasted), "{error}");
            }
            let error = process().resolve_file(pasted).unwrap_err();
            assert!(!error.to_string().contains(pasted), "{error}");
        }
        let error = process().resolve("env:PORTIVE_API_KEY_2").unwrap_err();
        assert!(error.to_string().contains("`PORTIVE_API_KEY_2`"), "{error}");
        let error = process().resolve("file:keys/portive2.key").unwrap_err();
        assert!(error.to_string().contains("keys/portive2.key` cannot be read"), "{error}");
    }
}
