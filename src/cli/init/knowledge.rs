//! The rules of `knowledge.toml`, and whether one holds for a project.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use serde::Deserialize;

use super::project::{Project, Source};
use super::source::{behind, mentions, quoted};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Knowledge {
    #[serde(rename = "framework")]
    pub(super) frameworks: Vec<Framework>,
    #[serde(rename = "session")]
    pub(super) sessions: Vec<Rule>,
    #[serde(rename = "vendor")]
    pub(super) vendors: Vec<Rule>,
    pub(super) unknown: Rule,
    /// The packages of each preset's vendor; empty where it has none.
    pub(super) sdk: BTreeMap<String, Vec<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Framework {
    pub(super) name: String,
    any: Vec<String>,
    /// Where it listens unless told otherwise.
    pub(super) port: u16,
    /// The port of its dev server, if it is another one.
    pub(super) dev: Option<u16>,
}

/// A session library, or a vendor.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Rule {
    pub(super) name: String,
    #[serde(default)]
    all: Vec<String>,
    #[serde(default)]
    any: Vec<String>,
    #[serde(default)]
    none: Vec<String>,
    from: Option<u32>,
    below: Option<u32>,
    source: Option<String>,
    /// Texts of which one stands in a source file.
    #[serde(default)]
    sources: Vec<String>,
    /// Lists of texts; a source file has one of each.
    #[serde(default)]
    together: Vec<Vec<String>>,
    /// Texts that no source file has.
    #[serde(default)]
    without: Vec<String>,
    setting: Option<Setting>,
    /// Calls that make a token by hand, the most specific first.
    #[serde(default, rename = "use")]
    pub(super) calls: Vec<String>,
    /// The vendor's names in source, if not the rule's.
    #[serde(default)]
    called: Vec<String>,
    /// The token's path where the app has no route for it.
    #[serde(default)]
    pub(super) path: String,
    #[serde(default)]
    pub(super) find: BTreeMap<String, Find>,
    pub(super) block: String,
    #[serde(default)]
    pub(super) say: Vec<String>,
    #[serde(default)]
    pub(super) guess: String,
}

/// A setting of the app: a variable of an env file, else its default in a source file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Setting {
    variable: String,
    /// The text before the default.
    #[serde(default)]
    or_after: Vec<String>,
    /// The values it may have; empty for all.
    #[serde(default)]
    is: Vec<String>,
    #[serde(default)]
    is_not: Vec<String>,
}

/// A name made of a word in the source, where the app gives none.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Word {
    pub(super) after: String,
    /// The end of the only file to look in.
    pub(super) r#in: String,
    /// The form that the word gets (`%`).
    pub(super) r#as: String,
}

/// How one placeholder of a block is found.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Find {
    pub(super) after: Vec<String>,
    pub(super) variable_after: Vec<String>,
    /// A text that stands before, in the same file; a bracket that it opens ends the search.
    pub(super) beside: String,
    /// Look only in files that have one of these.
    pub(super) with: Vec<String>,
    /// Look only if a source file has one of these; else the setting is left out.
    pub(super) when: Vec<String>,
    /// Look only if the app has this setting; else it is left out.
    pub(super) setting: Option<Setting>,
    pub(super) word: Option<Word>,
    pub(super) contains: BTreeMap<String, String>,
    pub(super) variables: Vec<String>,
    /// Take the part of the variable's value between these, not its name.
    pub(super) value: Option<(String, String)>,
    pub(super) r#in: String,
    /// The form that the quoted text gets (`%`), if it is not the value itself.
    pub(super) r#as: String,
    pub(super) default: String,
    pub(super) guess: String,
}

impl Knowledge {
    #[expect(clippy::expect_used, reason = "the file is part of the program; a test reads it")]
    pub(super) fn built_in() -> &'static Self {
        static KNOWLEDGE: OnceLock<Knowledge> = OnceLock::new();
        KNOWLEDGE.get_or_init(|| {
            toml::from_str(include_str!("knowledge.toml")).expect("knowledge.toml can be read")
        })
    }
}

impl Setting {
    pub(super) fn holds(&self, project: &Project) -> bool {
        let in_source = || {
            let markers = self.or_after.iter();
            let mut texts = markers.flat_map(|marker| {
                project.files.iter().flat_map(move |file| behind(&file.text, marker))
            });
            texts.find_map(quoted)
        };
        let told = project.variable(&self.variable).filter(|value| !value.is_empty());
        let told = told.map(str::to_owned).or_else(in_source);
        told.is_some_and(|value| {
            (self.is.is_empty() || self.is.contains(&value)) && !self.is_not.contains(&value)
        })
    }
}

impl Framework {
    pub(super) fn holds(&self, project: &Project) -> bool {
        self.any.iter().any(|package| project.has(package))
    }
}

impl Rule {
    pub(super) fn holds(&self, project: &Project) -> bool {
        let major = self.all.first().and_then(|package| project.major(package));
        let is_between = match major {
            Some(major) => {
                self.from.is_none_or(|from| major >= from)
                    && self.below.is_none_or(|below| major < below)
            }
            None => true,
        };
        is_between
            && self.all.iter().all(|package| project.has(package))
            && (self.any.is_empty() || self.any.iter().any(|package| project.has(package)))
            && !self.none.iter().any(|package| project.has(package))
            && self.source.as_ref().is_none_or(|text| project.source_has(text))
            && (self.sources.is_empty() || self.sources.iter().any(|text| project.source_has(text)))
            && (self.together.is_empty()
                || project.files.iter().any(|file| self.is_joined_in(file)))
            && !self.without.iter().any(|text| project.source_has(text))
            && self.setting.as_ref().is_none_or(|setting| setting.holds(project))
    }

    fn is_joined_in(&self, file: &Source) -> bool {
        let has_one = |texts: &Vec<String>| texts.iter().any(|text| mentions(&file.text, text));
        self.together.iter().all(has_one)
    }

    /// Whether one of its packages is this one.
    pub(super) fn names(&self, package: &String) -> bool {
        self.all.contains(package) || self.any.contains(package)
    }

    /// Names of which a file that uses the vendor's library has one.
    pub(super) fn names_in_source(&self) -> impl Iterator<Item = &str> {
        let own = self.called.is_empty().then_some(&self.name);
        self.called.iter().chain(own).map(String::as_str)
    }

    /// The package it was recognised by, with its version, as the manifest has it.
    pub(super) fn evidence(&self, project: &Project) -> String {
        let package = self.all.iter().chain(&self.any).find(|package| project.has(package));
        package.map(|package| project.named(package)).unwrap_or_default()
    }
}
