//! The sample app's two pages: templates with slots, filled with escaped text.

use super::sign_in::Visitor;

/// The login page; `problem` says what was wrong with the last attempt.
pub(super) fn login(problem: &str) -> String {
    fill(include_str!("assets/login.html"), &[("problem", problem)])
}

/// The page a signed-in visitor uploads from.
pub(super) fn upload(dashboard: &str, visitor: &Visitor) -> String {
    let initial: String = visitor.name.chars().take(1).flat_map(char::to_uppercase).collect();
    let slots = [
        ("dashboard", dashboard),
        ("initial", &*initial),
        ("name", &*visitor.name),
        ("user_id", &*visitor.id),
    ];
    fill(include_str!("assets/upload.html"), &slots)
}

/// Puts each value, escaped, where the template says `{{slot}}`. One pass, so a
/// value that looks like a slot stays text.
fn fill(template: &str, slots: &[(&str, &str)]) -> String {
    let mut page = String::with_capacity(template.len() + 256);
    let mut rest = template;
    while let Some((before, after)) = rest.split_once("{{") {
        let Some((slot, tail)) = after.split_once("}}") else { break };
        page.push_str(before);
        if let Some((_, value)) = slots.iter().find(|(name, _)| *name == slot) {
            escape_into(&mut page, value);
        }
        rest = tail;
    }
    page.push_str(rest);
    page
}

/// Enough for text and for quoted attributes.
fn escape_into(page: &mut String, text: &str) {
    for c in text.chars() {
        match c {
            '&' => page.push_str("&amp;"),
            '<' => page.push_str("&lt;"),
            '>' => page.push_str("&gt;"),
            '"' => page.push_str("&quot;"),
            '\'' => page.push_str("&#39;"),
            _ => page.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_escaped_and_never_read_as_slots() {
        let filled = fill("<b title=\"{{a}}\">{{b}}</b>{{c}}", &[("a", "\"'&<>"), ("b", "{{a}}")]);
        assert_eq!(filled, "<b title=\"&quot;&#39;&amp;&lt;&gt;\">{{a}}</b>");
    }

    #[test]
    fn every_slot_of_the_pages_is_filled() {
        let visitor = Visitor { id: "ada".into(), name: "Ada".into() };
        for page in [login("x"), upload("http://127.0.0.1:9/", &visitor)] {
            assert!(!page.contains("{{"), "{page}");
        }
    }
}
