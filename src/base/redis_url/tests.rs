//! Addresses of Redis as people write them.

use super::*;

fn node(host: &str, port: u16) -> RedisNode {
    RedisNode { host: host.to_owned(), port }
}

fn parse(url: &str) -> RedisUrl {
    RedisUrl::parse(url).unwrap_or_else(|error| panic!("{url}: {}", error.0))
}

#[test]
fn each_way_to_keep_a_redis_has_an_address() {
    let one = parse("redis://ada:p%40ss@cache.example:7000/3");
    assert_eq!(one.servers, RedisServers::One(node("cache.example", 7000)));
    assert_eq!((one.login.username(), one.login.password()), (Some("ada"), Some("p@ss")));
    assert_eq!((one.login.db(), one.tls.is_some()), (3, false));

    for path in ["unix:/run/redis.sock", "unix:///run/redis.sock", "redis+unix:///run/redis.sock"] {
        let socket = parse(&format!("{path}?db=2&user=ada&pass=word"));
        assert_eq!(socket.servers, RedisServers::Socket("/run/redis.sock".into()), "{path}");
        assert_eq!((socket.login.db(), socket.login.password()), (2, Some("word")));
    }

    let sentinel =
        parse("redis+sentinel://ada:word@a,b:7001,[::1]:7002/mymaster/4?sentinel_password=s%26");
    let RedisServers::Sentinel(sentinels) = &sentinel.servers else { panic!() };
    assert_eq!(sentinels.nodes, [node("a", 26379), node("b", 7001), node("::1", 7002)]);
    assert_eq!((sentinels.primary.as_str(), sentinel.login.db()), ("mymaster", 4));
    assert_eq!(sentinels.login.password(), Some("s&"));
    assert_eq!(sentinel.login.username(), Some("ada"));

    let cluster = parse("rediss+cluster://:word@a:1,b:2?ca=/etc/ca.pem&cert=/c&key=/k");
    assert_eq!(cluster.servers, RedisServers::Cluster(vec![node("a", 1), node("b", 2)]));
    assert_eq!(cluster.login.password(), Some("word"));
    let tls = cluster.tls.unwrap();
    assert_eq!(tls.ca, Some("/etc/ca.pem".into()));
    assert_eq!(tls.client, Some(("/c".into(), "/k".into())));
}

#[test]
fn a_wrong_address_says_what_to_write_and_repeats_nothing() {
    for (url, said) in [
        ("redis+sentinel://canary@a", "/NAME"),
        ("redis+sentinel://canary@a/", "/NAME"),
        ("redis+sentinel:///canary", "/NAME"),
        ("redis+cluster://a:canary", "HOST[:PORT]"),
        ("redis+cluster://a/1canary", "one database"),
        ("redis://a?ca=/canary", "rediss://"),
        ("rediss://a?ca=canary", "begin with `/`"),
        ("rediss://a?cert=/canary", "belong together"),
        ("rediss://a?certs=/canary", "may have ca"),
        ("redis://a/canary", "DATABASE"),
        ("redis://a:canary", "HOST"),
        ("redis://u:ca#nary@a", "%23"),
        ("unix:canary", "unix:/PATH"),
        ("http://canary", "redis+cluster://"),
    ] {
        let refused = RedisUrl::parse(url).err().unwrap_or_else(|| panic!("{url}")).0;
        assert!(refused.contains(said), "{url}: {refused}");
        assert!(!refused.contains("canary") && !refused.contains("nary@"), "{refused}");
    }
}

#[test]
fn a_server_elsewhere_is_exposed_without_tls() {
    for url in ["redis+cluster://127.0.0.1,cache.example", "redis+sentinel://s1,s2/m", "redis://h"]
    {
        assert!(parse(url).is_exposed(), "{url}");
    }
    for url in ["rediss+cluster://cache.example", "redis+sentinel://[::1]/m", "unix:/run/r"] {
        assert!(!parse(url).is_exposed(), "{url}");
    }
}
