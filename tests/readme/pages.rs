//! The README and the guides: their texts, and every fenced block in them.

use std::fs;
use std::path::{Path, PathBuf};

/// One page, by its path in the repository.
pub(super) struct Page {
    pub path: String,
    pub text: String,
}

/// One fenced block.
pub(super) struct Block {
    pub page: String,
    pub language: String,
    pub text: String,
}

pub(super) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The README first, then the guides by path.
pub(super) fn pages() -> Vec<Page> {
    let mut paths = Vec::new();
    collect(&root().join("deploy/guides"), &mut paths);
    paths.sort();
    paths.insert(0, root().join("README.md"));
    paths.iter().map(|path| read(path)).collect()
}

fn collect(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, found);
        } else {
            assert!(path.extension().is_some_and(|e| e == "md"), "{} is no page", path.display());
            found.push(path);
        }
    }
}

fn read(path: &Path) -> Page {
    let text = fs::read_to_string(path).unwrap();
    let path = path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned();
    Page { path, text }
}

pub(super) fn page(path: &str) -> Page {
    read(&root().join(path))
}

/// Every block of every page, in the pages' order.
pub(super) fn all_blocks() -> Vec<Block> {
    pages().iter().flat_map(blocks_of).collect()
}

pub(super) fn blocks_of(page: &Page) -> Vec<Block> {
    let mut found: Vec<Block> = Vec::new();
    let mut open = false;
    for line in page.text.split_inclusive('\n') {
        let Some(after) = line.strip_prefix("```") else {
            let odd = line.trim_start().starts_with("```") || line.starts_with("~~~");
            assert!(!odd, "{}: a fence no test would see: {line}", page.path);
            if let (true, Some(block)) = (open, found.last_mut()) {
                block.text.push_str(line);
            }
            continue;
        };
        open = !open;
        if open {
            let language = after.trim_end().to_owned();
            found.push(Block { page: page.path.clone(), language, text: String::new() });
        }
    }
    assert!(!open, "{}: a block without an end", page.path);
    found
}

/// The contents of a page's blocks in one language.
pub(super) fn texts(page: &str, language: &str) -> Vec<String> {
    let blocks = blocks_of(&self::page(page)).into_iter();
    blocks.filter(|block| block.language == language).map(|block| block.text).collect()
}

/// The README's first configuration.
pub(super) fn ten_lines() -> String {
    texts("README.md", "toml").swap_remove(0)
}
