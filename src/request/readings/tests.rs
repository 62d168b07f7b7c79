//! Paths, and what servers (`s:`) and frameworks (`f:`) make of them and of their query (`q:`).

use super::{By, Readings, TooMany, settled};
use crate::upstream::Prefixes;

const WITHOUT_PREFIXES: &str = r"
/ => itself
/x => itself
/x/y-z_9~ => itself
/Account => itself
/a:b => itself
/@user => itself
/x(1),y => itself
/account/ => s:/account
/account// => s:/account/ | s:/account
/a//b => s:/a/b
//x => s:/x
///x/y => s:/x/y
/a/./b => s:/a/b | s:/a//b
/./a => s:/a | s://a
/a/. => s:/a/ | s:/a
/a/.. => s:/ | s:/a/ | s:/a
/a/b/../c => s:/a/c | s:/a/b//c | s:/a/b/c
/../a => s:/a | s://a
/.. => s:/
/a/b/../../../c => s:/c | s:/a/b////c | s:/a/b/c
/... => s:/
/a../b => s:/a/b
/.well-known/x =>
/..hidden =>
/x/.env =>
/account. => s:/account
/account./ => s:/account. | s:/account/ | s:/account
/a./b => s:/a/b
/a%20 => s:/a  | s:/a
/a%20b => s:/a b
/a%09 => s:/a\t | s:/a
/%09account => s:/\taccount | s:/account | s:/
/a%0ab => s:/a\nb | s:/ab | s:/a
/a%0d%0ab => s:/a\r\nb | s:/ab | s:/a
/a%7f => s:/a\u{7f} | s:/a
/%61ccount => s:/account
/%2561ccount => s:/%61ccount | s:/account
/%252561ccount => s:/%2561ccount | s:/%61ccount | s:/account
/%41ccount => s:/Account
/a%2fb => s:/a/b
/a%2Fb => s:/a/b
/a%252fb => s:/a%2fb | s:/a/b
/%2faccount => s://account | s:/account
/public/..%2faccount => s:/public/../account | s:/account | s:/public//account | s:/public/account
/public/..%2Faccount => s:/public/../account | s:/account | s:/public//account | s:/public/account
/public/%2e%2e/account => s:/public/../account | s:/account | s:/public//account | s:/public/account
/public/.%2e/account => s:/public/../account | s:/account | s:/public//account | s:/public/account
/public/%2e%2e%2faccount => s:/public/../account | s:/account | s:/public//account | s:/public/account
/public/%252e%252e/account => s:/public/%2e%2e/account | s:/public/../account | s:/account | s:/public//account | s:/public/account
/public/..%252faccount => s:/public/..%2faccount | s:/public/../account | s:/account | s:/public//account | s:/public/account
/public/..;/account => s:/public/../account | s:/account | s:/public//account | s:/public/account
/public/..;a=b/account => s:/public/../account | s:/account | s:/public//account | s:/public/account
/account; => s:/account
/account;a=b => s:/account
/account;a=b/x => s:/account/x
/;/account => s://account | s:/account
/;a=b/account => s://account | s:/account
/account%3b => s:/account; | s:/account
/account%3ba=b => s:/account;a=b | s:/account
/a;b/c;d => s:/a/c
/a\b => s:/a/b
/\account => s://account | s:/account
/a%5cb => s:/a\\b | s:/a/b
/%5Caccount => s:/\\account | s://account | s:/account
/public/..%5caccount => s:/public/..\\account | s:/public/../account | s:/account | s:/public//account | s:/public/account
/public\..\account => s:/public/../account | s:/account | s:/public//account | s:/public/account | f:/public\\. | f:/public/. | f:/public\\ | f:/public/ | f:/public
/a%255cb => s:/a%5cb | s:/a\\b | s:/a/b
/account%3fx => s:/account?x | s:/account
/account%3Fx => s:/account?x | s:/account
/account%23x => s:/account#x | s:/account
/public%3f/../account => s:/public?/../account | s:/account | s:/public%3f//account | s:/public | s:/public?//account | s:/public%3f/account | s:/public?/account
/public/%23/../account => s:/public/#/../account | s:/public/account | s:/public/%23//account | s:/public/ | s:/public/#//account | s:/public/%23/account | s:/public | s:/public/#/account
/account%2500 => s:/account%00 | s:/account\0 | s:/account
/account%253f => s:/account%3f | s:/account? | s:/account
/caf%C3%A9 => s:/café
/CAF%C3%89 => s:/CAFÉ | s:/café
/caf%e9 => s:/caf�
/%c0%e0%e8 => s:/���
/%c0%ae%c0%ae/account => s:/����/account | s:/../account | s:/account | s://account
/x/%c0%af/account => s:/x/��/account | s:/x///account | s:/x/account
/%e0%80%af => s:/��� | s:// | s:/
/%f0%80%80%af => s:/���� | s:// | s:/
/x/%25c0%25af => s:/x/%c0%af | s:/x/�� | s:/x// | s:/x/ | s:/x
/%ef%bd%81ccount => s:/ａccount | s:/account
/of%EF%AC%81ce => s:/ofﬁce | s:/office
/%e2%84%aa => s:/K | s:/k
/%C4%B0d => s:/İd | s:/id
/%25u002faccount => s:/%u002faccount | s://account | s:/account
/100%25 => s:/100%
/a%25zz => s:/a%zz
/a+b => itself
/a%2Bb => s:/a+b
/x%3Dy => s:/x=y
/wiki/C%2B%2B => s:/wiki/C++
/wiki/C%23 => s:/wiki/C# | s:/wiki/C
/@scope%2fname => s:/@scope/name
/-/npm/@scope%2fname/1.0.0 => s:/-/npm/@scope/name/1.0.0 | f:/-/npm/@scope%2fname/1.0 | f:/-/npm/@scope/name/1.0 | f:/-/npm/@scope%2fname/1 | f:/-/npm/@scope/name/1
/api/v4/projects/a%2Fb/repository/files/src%2Fmain.rs/raw => s:/api/v4/projects/a/b/repository/files/src/main.rs/raw
/_matrix/client/v3/rooms/%21x%3Aserver/state => s:/_matrix/client/v3/rooms/!x:server/state
/bucket/key%20with%20blanks/file%2Bplus => s:/bucket/key with blanks/file+plus
/dav/a;b/c => s:/dav/a/c
/index => f:/
/index.html => f:/index | f:/
/account/index.html => f:/account/index | f:/account
/account.html => f:/account
/account.json => f:/account
/account.JSON => f:/account
/account.tar.gz => f:/account.tar | f:/account
/account.json/ => s:/account.json | f:/account
/.json =>
/a.b/c =>
/account.rsc => f:/account
/account.prefetch.rsc => f:/account.prefetch | f:/account
/account.segments/_tree.segment.rsc => f:/account.segments/_tree.segment | f:/account | f:/account.segments/_tree
/account.segments/$c$account/__PAGE__.segment.rsc => f:/account.segments/$c$account/__PAGE__.segment | f:/account | f:/account.segments/$c$account/__PAGE__
/index.segments/_tree.segment.rsc => f:/index.segments/_tree.segment | f:/index | f:/index.segments/_tree | f:/
/index.rsc => f:/index | f:/
/account.txt => f:/account
/_next/data/BUILD/account.json => f:/_next/data/BUILD/account | f:/account
/_next/data/BUILD/index.json => f:/_next/data/BUILD/index | f:/ | f:/_next/data/BUILD
/_next/data/BUILD/index/index.json => f:/_next/data/BUILD/index/index | f:/index | f:/_next/data/BUILD/index | f:/ | f:/_next/data/BUILD
/_next/data/BUILD/a/b.json => f:/_next/data/BUILD/a/b | f:/a/b
/_next/data/BUILD/%61ccount.json => s:/_next/data/BUILD/account.json | f:/_next/data/BUILD/%61ccount | f:/%61ccount | f:/_next/data/BUILD/account | f:/account
/_NEXT/data/BUILD/account.json => f:/_NEXT/data/BUILD/account | f:/account
/_next//data/BUILD/account.json => s:/_next/data/BUILD/account.json | f:/_next//data/BUILD/account | f:/_next/data/BUILD/account | f:/account
/_next/data/BUILD/../BUILD/account.json => s:/_next/data/BUILD/account.json | s:/_next/data/BUILD//BUILD/account.json | s:/_next/data/BUILD/BUILD/account.json | f:/_next/data/BUILD/../BUILD/account | f:/../BUILD/account | f:/_next/data/BUILD/account | f:/account | f:/_next/data/BUILD//BUILD/account | f://BUILD/account | f:/_next/data/BUILD/BUILD/account | f:/BUILD/account
/_next/data/BUILD/..%2faccount.json => s:/_next/data/BUILD/../account.json | s:/_next/data/account.json | s:/_next/data/BUILD//account.json | s:/_next/data/BUILD/account.json | f:/_next/data/BUILD/..%2faccount | f:/..%2faccount | f:/_next/data/BUILD/../account | f:/../account | f:/_next/data/account | f:/_next/data/BUILD//account | f://account | f:/_next/data/BUILD/account | f:/account
/_next/data/BUILD =>
/_next/data/BUILD/ => s:/_next/data/BUILD
/_next/data/BUILD/account =>
/blog/_next/data/BUILD/account.json => f:/blog/_next/data/BUILD/account | f:/account | f:/blog/account
/_next/static/chunks/main-0a1b.js => f:/_next/static/chunks/main-0a1b
/_next/static/chunks/%5Bslug%5D-0a1b.js => s:/_next/static/chunks/[slug]-0a1b.js | f:/_next/static/chunks/%5Bslug%5D-0a1b | f:/_next/static/chunks/[slug]-0a1b
/_next/image =>
/_next/image?url=%2Fprivate%2Fa.png&w=64&q=75 => q:/private/a.png | q:/private/a
/_next/image?ur%6C=%2Fprivate%2Fa.png&w=64 => q:/private/a.png | q:/private/a
/_next/imag%65?%75%72%6c=%2Fprivate%2Fa.png => s:/_next/image | q:/private/a.png | q:/private/a
//_next/image?url=/private/a.png => s:/_next/image | q:/private/a.png | q:/private/a
/_next/image/?url=/private/a.png => s:/_next/image | q:/private/a.png | q:/private/a
/_next/image?url=%2Fprivate%2Fa%2Cb => q:/private/a,b | q:/private/a | q:/b
/_next/image?url=/private/a%3Fx=:// => q:/private/a
/_next/image?url=/private/https://x => q:/private/https://x | q:/private/https:/x
/_next/image?url=HTTPS%3A%2F%2Fcdn.example%2Fa.png&w=64 =>
/_next/image?url=https%3A%2F%2Fcdn.example%2Fa.png&w=64 =>
/_image?href=/private/a.png&w=1 => q:/private/a.png | q:/private/a
/_image?hre%66=/private/a => q:/private/a
/_vercel/image?url=/private/a.png => q:/private/a.png | q:/private/a
/_ipx/w_200/private/a.png => f:/_ipx/w_200/private/a | f:/private/a.png | f:/private/a
/_ipx/_/private/a.png => f:/_ipx/_/private/a | f:/private/a.png | f:/private/a
/account.data => f:/account
/account/_.data => f:/account/_ | f:/account
/_root.data => f:/_root | f:/
/_.data => f:/_ | f:/
/shop2/_root.data => f:/shop2/_root | f:/shop2
/__manifest =>
/__manifest?p=%2Faccount&version=1 => q:/account
/__manifest?%70=/account => q:/account
/__manifes%74?p=/account => s:/__manifest | q:/account
/__manifest?p=/account&p=/admin => q:/account | q:/admin
/__manifest?paths=%2Faccount%2C%2Fadmin&version=1 => q:/account,/admin | q:/account | q:/admin
/__MANIFEST?p=/account => q:/account
/account.manifest => f:/account
/account/_payload.json => f:/account/_payload | f:/account
/account/_payload.json?hash => f:/account/_payload | f:/account
/account/_payload.js => f:/account/_payload | f:/account
/_payload.json => f:/_payload | f:/
/account/__data.json => f:/account/__data | f:/account
/account/__data.json?x-sveltekit-invalidated=01 => f:/account/__data | f:/account
/__data.json => f:/__data | f:/
/account.html__data.json => f:/account.html__data | f:/account.html | f:/account
/account/__route.js => f:/account/__route | f:/account
/account/q-data.json => f:/account/q-data | f:/account
/page-data/account/page-data.json => f:/page-data/account/page-data | f:/account
/page-data/index/page-data.json => f:/page-data/index/page-data | f:/
/page-data/a/b/page-data.json => f:/page-data/a/b/page-data | f:/a/b
/page-data/app-data.json => f:/page-data/app-data
/blog/page-data/account/page-data.json => f:/blog/page-data/account/page-data | f:/account | f:/blog/account
/page-data => itself
/index.php => f:/index | f:/
/index.php/account => f:/account
/index.php/account/ => s:/index.php/account | f:/account/ | f:/account
/INDEX.PHP/account => f:/account
/app_dev.php/account => f:/account
/app_dev.php => f:/app_dev | f:/
/blog/index.php/account => f:/account | f:/blog/account
/index.php//account => s:/index.php/account | f://account | f:/account
/index.php/%61ccount => s:/index.php/account | f:/%61ccount | f:/account
/index.php/index.php/account => f:/index.php/account | f:/account
/index.php?r=account => f:/index | f:/ | q:/account
/index.php?%72=account => f:/index | f:/ | q:/account
/index.php?+r=account => f:/index | f:/ | q:/account
/index.php?%20r=account => f:/index | f:/ | q:/account
/index.php?r[]=account => f:/index | f:/ | q:/account
/index.php?r%5Ba%5D=account => f:/index | f:/ | q:/account
/index.php?r%00x=account => f:/index | f:/ | q:/account
/index.php?.url=account => f:/index | f:/ | q:/account
/index.php?x=1&r=account&q=/admin => f:/index | f:/ | q:/account | q:/admin
/index.php?r=a+b => f:/index | f:/ | q:/a+b | q:/a b
/index.php?r=index => f:/index | f:/ | q:/index | q:/
/index.php?R=account&rr=account&r => f:/index | f:/
/INDEX.PHP?r=account => f:/INDEX | f:/ | q:/account
/index.ph%70?r=account => s:/index.php | f:/index | f:/ | q:/account
/index.php/?r=account => s:/index.php | f:/ | f:/index | q:/account
/index.php/x?r=account => f:/x | q:/account
/index.php;x?r=account => s:/index.php | f:/index | f:/ | q:/account
//index.php?r=account => s:/index.php | f://index | f:/index | f:/ | q:/account
/blog/index.php/x?url=/account => f:/x | f:/blog/x | q:/account | q:/blog/account
/blog/index.php?r=account => f:/blog/index | f:/blog | q:/account | q:/blog/account
/index.php/_next/image?r=account&url=/admin => f:/_next/image | q:/account | q:/admin
/account.php?r=admin => f:/account | q:/admin
/index.php?r=%2Faccount&x=1 => f:/index | f:/ | q:/account
/index.php?/account => f:/index | f:/ | q:/account
/index.php?/account&x=1 => f:/index | f:/ | q:/account
/index.php?x=1 => f:/index | f:/
/cgi-bin/app.cgi/account => f:/account | f:/cgi-bin/account
/dispatch.fcgi/account => f:/account
/account.php => f:/account
/file.php.bak => f:/file.php | f:/file
/proxy/https%3A%2F%2Fexample.com%2Fa => s:/proxy/https://example.com/a | s:/proxy/https:/example.com/a | f:/proxy/https%3A%2F%2Fexample | f:/proxy/https://example | f:/proxy/https:/example
/?r=account => q:/account
/?%72=account => q:/account
/?+r=account => q:/account
/?r[]=account => q:/account
//?r=account => s:/ | q:/account
/.?r=account => s:/ | q:/account
/%2e?r=account => s:/. | s:/ | q:/account
/./?r=account => s:/ | s:/. | s:// | q:/account
/x/..?r=account => s:/ | s:/x/ | s:/x | q:/account
/index?r=account => f:/ | q:/account
/index.html?r=account => f:/index | f:/ | q:/account
/x?r=account => itself
/?r=%2Faccount => q:/account
/?q=account =>
/?/account =>
/account%0d%0aX:%20y => s:/account\r\nX: y | s:/accountX: y | s:/account
";

/// With the locales `de` and `pt-BR` and the base path `/shop`.
const WITH_PREFIXES: &str = r"
/shop => f:/
/shop/ => s:/shop | f:/
/shop/account => f:/account
/SHOP/account => f:/account
/shopping => itself
/de => f:/
/de/ => s:/de | f:/
/de/account => f:/account
/DE/account => f:/account
/pt-BR/account => f:/account
/pt-br/account => f:/account
/pt/account => itself
/den/account => itself
/shop/de => f:/de | f:/shop/ | f:/ | f:/shop
/shop/de/account => f:/de/account | f:/shop/account | f:/account
/de/shop/account => f:/shop/account | f:/account
/shop/de/ => s:/shop/de | f:/de/ | f:/shop/ | f:/de | f:/ | f:/shop
/%64e/account => s:/de/account | f:/account
/de%2faccount => s:/de/account | f:/account
/shop/%64e/account => s:/shop/de/account | f:/%64e/account | f:/de/account | f:/shop/account | f:/account
/_next/data/BUILD/de.json => f:/_next/data/BUILD/de | f:/de | f:/
/_next/data/BUILD/de/account.json => f:/_next/data/BUILD/de/account | f:/de/account | f:/account
/_next/data/BUILD/pt-BR/account.json => f:/_next/data/BUILD/pt-BR/account | f:/pt-BR/account | f:/account
/shop/_next/data/BUILD/account.json => f:/shop/_next/data/BUILD/account | f:/account | f:/shop/account | f:/_next/data/BUILD/account.json | f:/_next/data/BUILD/account
/shop/_next/data/BUILD/de/account.json => f:/shop/_next/data/BUILD/de/account | f:/de/account | f:/shop/de/account | f:/_next/data/BUILD/de/account.json | f:/_next/data/BUILD/de/account | f:/account | f:/shop/account
/shop/_next/data/BUILD/de.json => f:/shop/_next/data/BUILD/de | f:/de | f:/shop/de | f:/_next/data/BUILD/de.json | f:/_next/data/BUILD/de | f:/ | f:/shop/ | f:/shop
/shop/account.data => f:/shop/account | f:/account.data | f:/account
/shop/_root.data => f:/shop/_root | f:/_root.data | f:/shop | f:/_root | f:/
/shop/__manifest?p=/shop/account => f:/__manifest | q:/shop/account | q:/account
/shop?r=account => f:/ | q:/account
/de?r=de/account => f:/ | q:/de/account | q:/account
/de/account/_payload.json => f:/de/account/_payload | f:/account/_payload.json | f:/de/account | f:/account/_payload | f:/account
/de/account/__data.json => f:/de/account/__data | f:/account/__data.json | f:/de/account | f:/account/__data | f:/account
/de/account.json => f:/de/account | f:/account.json | f:/account
/shop/index.php/account => f:/account | f:/shop/account | f:/index.php/account
/index.php/de/account => f:/de/account | f:/account
/page-data/de/account/page-data.json => f:/page-data/de/account/page-data | f:/de/account | f:/account
/de/index.html => f:/de/index | f:/index.html | f:/de | f:/index | f:/
/x/de/account => itself
/de/pt-BR/account => f:/pt-BR/account | f:/account
";

fn shop() -> Prefixes {
    Prefixes { locales: vec!["de".into(), "pt-BR".into()], base_path: "/shop".into() }
}

fn read(target: &str, prefixes: &Prefixes) -> String {
    let (path, query) =
        target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
    let Readings::Several(readings) = Readings::of(path, query, prefixes).unwrap() else {
        return "itself".into();
    };
    assert_eq!(readings.first().unwrap().path, path.as_bytes(), "the path as it stands is first");
    let others = readings.iter().skip(1).map(|reading| {
        let by = match reading.by {
            By::Framework => "f",
            By::Query => "q",
            By::Server => "s",
        };
        format!("{by}:{}", String::from_utf8_lossy(&reading.path).escape_debug())
    });
    others.collect::<Vec<_>>().join(" | ")
}

fn check(table: &str, prefixes: &Prefixes) -> usize {
    let rows = table.lines().filter_map(|row| row.split_once(" =>"));
    rows.map(|(path, readings)| assert_eq!(read(path, prefixes), readings.trim_start(), "{path}"))
        .count()
}

#[test]
fn each_path_has_the_readings_of_servers_and_frameworks() {
    assert!(check(WITHOUT_PREFIXES, &Prefixes::default()) > 180);
}

#[test]
fn locales_and_the_base_path_are_read_off() {
    assert!(check(WITH_PREFIXES, &shop()) > 35);
}

#[test]
fn the_readings_of_a_path_are_bounded() {
    let octets = |readings: &Readings<'_>| match readings {
        Readings::Itself => 0,
        Readings::Several(readings) => readings.iter().map(|one| one.path.len()).sum(),
    };
    let nested = "%25".repeat(2000) + "2f";
    let odd = "/a%252f..;b%5c.%3f%23%2500//%C4%B0.segments/index.php/_next/data/x/de/y.json";
    for path in [format!("/{nested}"), odd.repeat(100), format!("/{}", "..%2f;".repeat(1000))] {
        let readings = Readings::of(&path, None, &shop());
        assert!(readings.as_ref().map_or(0, octets) <= 256 * 1024);
    }
    assert_eq!(Readings::of(&odd.repeat(100), None, &shop()), Err(TooMany));
    let nested = "r=%25c0%25af..%2fa;b/&".repeat(300);
    for query in
        ["r=a%2b&".repeat(1000), nested, "r=,".repeat(2500), format!("r={}", odd.repeat(80))]
    {
        let readings = Readings::of("/blog/index.php", Some(&query), &shop());
        assert!(readings.is_err() || readings.is_ok_and(|found| octets(&found) <= 256 * 1024));
    }
    let other: String = (0..300).map(|at| format!("r={at}&")).collect();
    assert_eq!(Readings::of("/", Some(&other), &shop()), Err(TooMany));
    let long = format!("/{}", "a%20b/".repeat(1300));
    assert!(Readings::of(&long, None, &shop()).is_ok(), "blanks alone do not add up");
}

#[test]
fn settled_paths_have_nothing_left_to_read() {
    for (path, settled_path) in [
        ("", ""),
        ("/", "/"),
        ("/Admin/", "/admin"),
        ("/a%252fB//c;x/../d.", "/a/b/d"),
        ("/caf%C3%89", "/caf\u{e9}"),
        ("/x/..", "/"),
    ] {
        assert_eq!(settled(path), settled_path.as_bytes(), "{path}");
    }
}
