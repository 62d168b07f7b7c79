//! How apps are known to read paths, and how else a path can be written.

fn decode(path: &str) -> String {
    let bytes = path.as_bytes();
    let mut decoded = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let escape = path.get(at + 1..at + 3).and_then(|hex| u8::from_str_radix(hex, 16).ok());
        match escape.filter(|_| bytes[at] == b'%') {
            Some(byte) => {
                decoded.push(byte);
                at += 3;
            }
            None => {
                decoded.push(bytes[at]);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

fn resolve_dots(path: &str) -> String {
    let mut segments: Vec<&str> = Vec::new();
    for segment in path.split('/').skip(1) {
        match segment {
            "." => {}
            ".." => drop(segments.pop()),
            segment => segments.push(segment),
        }
    }
    format!("/{}", segments.join("/"))
}

fn per_segment(path: &str, change: impl Fn(&str) -> &str) -> String {
    path.split('/').map(change).collect::<Vec<_>>().join("/")
}

fn merge_slashes(path: &str) -> String {
    let segments: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).collect();
    format!("/{}", segments.join("/"))
}

/// Steps that apps apply to paths, each on its own, in about the usual order.
const HABITS: [fn(&str) -> String; 9] = [
    decode,
    decode,
    |path| path.replace('\\', "/"),
    |path| path.split(['\0', '#', '?']).next().unwrap().to_owned(),
    |path| per_segment(path, |segment| segment.split(';').next().unwrap()),
    resolve_dots,
    merge_slashes,
    |path| per_segment(path, |segment| segment.trim_end_matches(['.', ' ', '\t'])),
    |path| path.to_lowercase(),
];

/// The path in the eyes of apps with every combination of habits.
pub(crate) fn readings(path: &str) -> Vec<String> {
    let mut readings: Vec<String> = (0..1_u32 << HABITS.len())
        .map(|habits| {
            let has = |index: &usize| habits & (1 << index) != 0;
            let chosen = (0..HABITS.len()).filter(has);
            chosen.fold(path.to_owned(), |path, index| HABITS[index](&path))
        })
        .collect();
    readings.sort();
    readings.dedup();
    readings
}

/// Every spelling of a guarded path this suite knows.
pub(crate) fn spellings(path: &str) -> Vec<String> {
    let mut all = Vec::new();
    for (at, byte) in path.bytes().enumerate() {
        let (before, after) = (path.get(..at).unwrap(), path.get(at + 1..).unwrap());
        for escape in [
            format!("%{byte:02x}"),
            format!("%{byte:02X}"),
            format!("%25{byte:02x}"),
            format!("%25{byte:02X}"),
        ] {
            all.push(format!("{before}{escape}{after}"));
        }
        if byte.is_ascii_alphabetic() {
            let flipped = char::from(byte ^ 0x20);
            all.push(format!("{before}{flipped}{after}"));
        }
        if byte == b'/' {
            for slash in [
                "//",
                "///",
                "/./",
                "/.//",
                "/x/../",
                "/x/..;/",
                "/x/..;a=b/",
                "/x/%2e%2e/",
                "/x/.%2e/",
                "/x/%2E./",
                "/x/%252e%252e/",
                "/%2e/",
                "/;/",
                "/;a=b/",
                "\\",
                "/\\",
                "%5c",
                "%5C",
                "%255c",
                "/%2f",
                "%2f/",
                "%2f%2f",
                "/..%2f",
                "/x%2f..%2f",
                "/x/..%5c",
                "/public/../",
                "/public/..%2f",
                "/public/%2e%2e/",
                "/public/..;/",
                "/public/x/../../",
            ] {
                all.push(format!("{before}{slash}{after}"));
            }
        }
    }
    for tail in [
        "/",
        "//",
        "/.",
        "/x/..",
        ".",
        "..",
        "%2e",
        "%20",
        "%09",
        "%00",
        "%0a",
        "%0d%0a",
        ";",
        ";a",
        ";a=b",
        ";/",
        "%3b",
        "%3ba=b",
        "%3f",
        "%3fa",
        "%23",
        "%23a",
        "#",
        "#a",
        "%2500",
        "%253f",
        "%2f",
        "%5c",
        "\\",
        "/%2e",
        "/..%2fadmin",
        ".%20",
        "%20.",
        "%ff",
        "/%2e%2e/admin/x",
    ] {
        all.push(format!("{path}{tail}"));
    }
    all.push(path.to_uppercase());
    all
}
