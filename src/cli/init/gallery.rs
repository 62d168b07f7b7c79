//! The guide's block of each preset, for vendors whose settings only the app's authors know.

const PAGE: &str = include_str!("../../../deploy/guides/vendors.md");

/// The `[token.NAME]` of a preset, as the guide has it.
pub(super) fn block(preset: &str) -> Option<&'static str> {
    let blocks = PAGE.split("```toml\n").skip(1).filter_map(|text| text.split("\n```").next());
    let mut tables = blocks.flat_map(|block| {
        let starts = block.match_indices("[token.").map(|(at, _)| at);
        let starts = starts.filter(|at| *at == 0 || block.get(..*at).is_some_and(is_line_end));
        let starts: Vec<usize> = starts.collect();
        let ends = starts.iter().skip(1).copied().chain([block.len()]).collect::<Vec<_>>();
        starts.into_iter().zip(ends).filter_map(|(start, end)| block.get(start..end))
    });
    let line = format!("preset = \"{preset}\"");
    tables.find(|table| table.lines().any(|it| it.starts_with(&line))).map(str::trim_end)
}

fn is_line_end(before: &str) -> bool {
    before.ends_with('\n')
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::knowledge::Knowledge;
    use super::*;
    use crate::mint::Presets;

    #[test]
    fn every_preset_has_its_vendors_packages_or_says_that_there_are_none() {
        let known: BTreeSet<&str> = Knowledge::built_in().sdk.keys().map(String::as_str).collect();
        let presets: BTreeSet<&str> = Presets::builtin().names().collect();
        assert_eq!(known, presets);
        let packages = Knowledge::built_in().sdk.iter();
        let with = packages.filter(|(_, packages)| !packages.is_empty()).count();
        assert!(with > presets.len() / 2, "{with}");
        for (preset, packages) in &Knowledge::built_in().sdk {
            let text = block(preset);
            assert!(text.is_some_and(|text| text.starts_with("[token.")), "{preset}: {text:?}");
            for package in packages {
                let registry = package.split_once(':').map(|(registry, _)| registry);
                let is_known = |it| ["npm", "pip", "gem", "composer", "hex"].contains(&it);
                assert!(registry.is_some_and(is_known), "{preset}: {package}");
            }
        }
    }

    #[test]
    fn every_vendor_with_its_own_rule_has_its_packages_in_the_list() {
        let knowledge = Knowledge::built_in();
        for rule in &knowledge.vendors {
            let preset = rule.block.split('"').nth(1).unwrap();
            assert!(knowledge.sdk[preset].iter().any(|package| rule.names(package)), "{preset}");
        }
    }
}
