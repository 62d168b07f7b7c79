//! The keys a schema has for one table of a sample: the plainest reading of
//! `$ref`, `allOf`, `anyOf` and `properties`.

use std::collections::BTreeSet;

use serde_json::Value;

/// JSON Pointers to every table in a sample.
pub(crate) fn tables(sample: &Value) -> Vec<String> {
    fn visit(value: &Value, path: &str, found: &mut Vec<String>) {
        let step = |key: &str| format!("{path}/{}", key.replace('~', "~0").replace('/', "~1"));
        match value {
            Value::Object(members) => {
                found.push(path.to_owned());
                members.iter().for_each(|(key, value)| visit(value, &step(key), found));
            }
            Value::Array(items) => {
                let items = items.iter().enumerate();
                items.for_each(|(index, item)| visit(item, &step(&index.to_string()), found));
            }
            _ => {}
        }
    }
    let mut found = Vec::new();
    visit(sample, "", &mut found);
    found
}

/// The keys described for the table at `pointer`.
pub(crate) fn keys(schema: &Value, sample: &Value, pointer: &str) -> BTreeSet<String> {
    let walk = Walk { schema };
    let (mut nodes, mut value) = (walk.fitting(schema, sample), sample);
    for step in pointer.split('/').skip(1) {
        let step = step.replace("~1", "/").replace("~0", "~");
        value = match value {
            Value::Array(items) => &items[step.parse::<usize>().unwrap()],
            _ => &value[&step],
        };
        let below = nodes.iter().flat_map(|node| Walk::child(node, &step));
        nodes = below.flat_map(|node| walk.fitting(node, value)).collect();
    }
    let properties = nodes.iter().filter_map(|node| node["properties"].as_object());
    properties.flat_map(|properties| properties.keys().cloned()).collect()
}

struct Walk<'s> {
    schema: &'s Value,
}

impl<'s> Walk<'s> {
    /// The parts of a schema that speak of a value, branches that cannot be meant
    /// left out.
    fn fitting(&self, node: &'s Value, value: &Value) -> Vec<&'s Value> {
        if let Some(reference) = node["$ref"].as_str() {
            let target = self.schema.pointer(reference.trim_start_matches('#')).unwrap();
            return self.fitting(target, value);
        }
        let mut found = vec![node];
        for part in node["allOf"].as_array().into_iter().flatten() {
            found.extend(self.fitting(part, value));
        }
        for branch in node["anyOf"].as_array().into_iter().flatten() {
            if self.may_be_meant(branch, value) {
                found.extend(self.fitting(branch, value));
            }
        }
        found
    }

    fn may_be_meant(&self, branch: &'s Value, value: &Value) -> bool {
        if let Some(reference) = branch["$ref"].as_str() {
            let target = self.schema.pointer(reference.trim_start_matches('#')).unwrap();
            return self.may_be_meant(target, value);
        }
        let wanted = &branch["type"];
        if (wanted == "array" && value.is_object()) || (wanted == "object" && !value.is_object()) {
            return false;
        }
        let needed = branch["required"].as_array().into_iter().flatten();
        let has_needed = needed.clone().all(|key| value.get(key.as_str().unwrap()).is_some());
        let fits = |(key, property): (&String, &Value)| {
            let Some(value) = value.get(key) else { return true };
            *property != false && property.get("const").is_none_or(|only| only == value)
        };
        has_needed && branch["properties"].as_object().is_none_or(|all| all.iter().all(fits))
    }

    fn child(node: &'s Value, step: &str) -> Option<&'s Value> {
        node["properties"]
            .get(step)
            .or_else(|| node.get("items"))
            .or_else(|| node.get("additionalProperties"))
            .filter(|child| child.is_object())
    }
}
