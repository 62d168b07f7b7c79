//! No link is dead: between pages, to their headings, to files of the repository,
//! and from the sources to the pages.

use std::collections::{BTreeSet, HashMap};
use std::path::{Component, Path, PathBuf};

use super::pages::{Page, page, pages, root};

const INDEX: &str = "deploy/guides/README.md";
const README_LINES: usize = 150;

/// The text outside fenced blocks.
fn prose(page: &Page) -> Vec<&str> {
    let mut open = false;
    let outside = page.text.lines().filter(|line| {
        let fence = line.starts_with("```");
        open ^= fence;
        !fence && !open
    });
    outside.collect()
}

/// The targets of a page's links.
fn links(page: &Page) -> Vec<String> {
    let text = prose(page).join("\n");
    for other in ["<a ", "<img ", "\n["] {
        let reference = other == "\n[" && !text.contains("]: ");
        assert!(reference || !text.contains(other), "{}: write links as [text](target)", page.path);
    }
    let targets = text.split("](").skip(1).map(|rest| rest.split_once(')').unwrap().0.to_owned());
    targets.collect()
}

/// The anchors of a page's headings, made as GitHub makes them.
fn anchors(page: &Page) -> BTreeSet<String> {
    let mut seen: HashMap<String, usize> = HashMap::new();
    let headings = prose(page).into_iter().filter(|line| line.starts_with('#'));
    headings
        .map(|line| {
            let title = line.trim_start_matches('#').trim().to_lowercase();
            let kept = title.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
            let anchor: String = kept.map(|c| if c == ' ' { '-' } else { c }).collect();
            let count = seen.entry(anchor.clone()).or_default();
            *count += 1;
            if *count == 1 { anchor } else { format!("{anchor}-{}", *count - 1) }
        })
        .collect()
}

/// `target` as seen from the page `from`, by its path in the repository.
fn resolved(from: &str, target: &str) -> Option<PathBuf> {
    let mut path = Path::new(from).parent()?.to_path_buf();
    for part in Path::new(target).components() {
        match part {
            Component::Normal(name) => path.push(name),
            Component::ParentDir => {
                if !path.pop() {
                    return None;
                }
            }
            Component::CurDir => {}
            Component::Prefix(_) | Component::RootDir => return None,
        }
    }
    Some(path)
}

fn dead(from: &Page, link: &str) -> Option<&'static str> {
    if link.starts_with("https://") {
        return None;
    }
    let (target, anchor) = link.split_once('#').map_or((link, None), |(t, a)| (t, Some(a)));
    let own = PathBuf::from(&from.path);
    let path = if target.is_empty() { Some(own) } else { resolved(&from.path, target) };
    let Some(path) = path.filter(|path| root().join(path).exists()) else {
        return Some("there is no such file");
    };
    let anchor = anchor?;
    if path.extension().is_none_or(|extension| extension != "md") {
        return Some("only pages have anchors");
    }
    let there = anchors(&page(path.to_str().unwrap()));
    (!there.contains(anchor)).then_some("the page has no such heading")
}

#[test]
fn every_link_and_anchor_leads_somewhere() {
    let mut checked = 0;
    for page in pages() {
        for link in links(&page) {
            assert_eq!(dead(&page, &link), None, "{}: {link}", page.path);
            checked += 1;
        }
    }
    assert!(checked > 60, "only {checked} links were found");
}

#[test]
fn the_index_and_the_readme_lead_to_every_page() {
    let index = page(INDEX);
    let listed: BTreeSet<PathBuf> = links(&index)
        .iter()
        .filter_map(|link| resolved(INDEX, link.split('#').next().unwrap()))
        .collect();
    for page in pages() {
        let itself = [INDEX, "README.md"].contains(&page.path.as_str());
        assert!(itself || listed.contains(Path::new(&page.path)), "{INDEX} lacks {}", page.path);
    }
    assert!(links(&page("README.md")).iter().any(|link| link == INDEX));
}

#[test]
fn pages_named_elsewhere_are_there() {
    let here = page("README.md");
    let mut named = BTreeSet::new();
    for top in ["Cargo.toml", "gateway.toml", "deploy", "src", "tests"] {
        collect_named(&root().join(top), &mut named);
    }
    assert!(named.len() > 3, "only {named:?} were found");
    for name in named {
        assert_eq!(dead(&here, &name), None, "{name} is named, but");
    }
}

/// Every `deploy/guides/….md` in the files below `path`, with its anchor.
fn collect_named(path: &Path, found: &mut BTreeSet<String>) {
    let name = path.file_name().unwrap().to_str().unwrap();
    if name.starts_with('.') || ["node_modules", "target", "work"].contains(&name) {
        return;
    }
    if path.is_dir() {
        for entry in std::fs::read_dir(path).unwrap() {
            collect_named(&entry.unwrap().path(), found);
        }
        return;
    }
    let Ok(text) = std::fs::read_to_string(path) else { return };
    for (at, _) in text.match_indices("deploy/guides/") {
        let is_part = |c: char| c.is_ascii_alphanumeric() || "/_-.#".contains(c);
        let part: String = text.split_at(at).1.chars().take_while(|c| is_part(*c)).collect();
        if part.contains(".md") {
            found.insert(part.trim_end_matches('.').to_owned());
        }
    }
}

#[test]
fn the_readme_takes_ten_minutes() {
    let lines = page("README.md").text.lines().count();
    assert!(lines <= README_LINES, "README.md has {lines} lines, {README_LINES} are allowed");
}
