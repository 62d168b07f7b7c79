//! The sessions that `portcullis init` finds: in the store where the library keeps them, under
//! the names that the app gives them.

use serde_json::Value;

use crate::init::{in_project, read, tokens};

/// `[session]` of the file for these sources, which `check` accepts.
fn session_of(files: &[(&str, &str)]) -> (Value, String) {
    let (at, said, file) = in_project(files);
    tokens(&at, &said, &file);
    (read(&file)["session"].clone(), file)
}

const NEXT_AUTH: (&str, &str) =
    ("package.json", r#"{"dependencies":{"next":"15","next-auth":"4.24.0"}}"#);
const AUTHJS: (&str, &str) = ("package.json", r#"{"dependencies":{"next-auth":"5.0.0-beta.25"}}"#);
const BETTER_AUTH: (&str, &str) = ("package.json", r#"{"dependencies":{"better-auth":"1.3.0"}}"#);
const RAILS: [(&str, &str); 2] = [
    ("Gemfile", "gem \"rails\", \"~> 7.1.3\"\n"),
    (
        "config/application.rb",
        "module ShopApp\n  class Application < Rails::Application\n  end\nend\n",
    ),
];

#[test]
fn an_adapter_keeps_the_sessions_in_its_store_unless_the_app_says_jwt() {
    let prisma = "export const authOptions: NextAuthOptions = { adapter: PrismaAdapter(prisma) }\n";
    let drizzle = "NextAuth({ adapter: DrizzleAdapter(db), ...config })\n";
    let mongo =
        "NextAuth({ adapter: MongoDBAdapter(client), session: { strategy: 'database' } })\n";
    let short = "const adapter = UpstashRedisAdapter(redis)\nNextAuth({ providers, adapter })\n";
    let jwt = "export const config = { session: { strategy: 'jwt' } } satisfies NextAuthConfig\n";
    let svelte = "import adapter from '@sveltejs/adapter-node'\nexport default { kit: { adapter: adapter() } }\n";
    for (package, auth, other, kind, table) in [
        (NEXT_AUTH, prisma, "", "lookup", Some("Session")),
        (NEXT_AUTH, prisma, jwt, "next-auth", None),
        (NEXT_AUTH, mongo, "", "introspect", None),
        (NEXT_AUTH, "NextAuth({ providers })\n", svelte, "next-auth", None),
        (AUTHJS, drizzle, "", "lookup", Some("session")),
        (AUTHJS, drizzle, jwt, "authjs", None),
        (AUTHJS, short, "", "introspect", None),
        (AUTHJS, "NextAuth({ providers })\n", svelte, "authjs", None),
    ] {
        let (session, file) = session_of(&[package, ("auth.ts", auth), ("other.ts", other)]);
        assert_eq!(
            (session["kind"].as_str(), session["store"]["table"].as_str()),
            (Some(kind), table),
            "{file}"
        );
    }
}

#[test]
fn settings_are_read_where_each_library_has_them() {
    let rails =
        |text: &'static str| [RAILS[0], RAILS[1], ("config/initializers/session_store.rb", text)];
    let better = |text: &'static str| {
        [BETTER_AUTH, ("lib/auth.ts", text), ("other.ts", "const a = { session: { userId: 'x' } }")]
    };
    let phoenix = |text: &'static str| {
        [
            ("mix.exs", "{:phoenix, \"~> 1.7.14\"},\n"),
            ("lib/shop_web/endpoint.ex", text),
            ("lib/a.ex", "user_id"),
        ]
    };
    for (files, expected) in [
        (rails("X.session_store :cookie_store, key: '_front'\n"), r#"{"/cookie":"_front"}"#),
        (
            rails("X.session_store(:cookie_store,\n  expire_after: 1.day,\n  key: '_front')\n"),
            r#"{"/cookie":"_front"}"#,
        ),
        (rails("X.session_store :cookie_store, :key => '_front'\n"), r#"{"/cookie":"_front"}"#),
        (
            rails("X.session_store :cookie_store, expire_after: 1.day\nX.other key: '_no'\n"),
            r#"{"/cookie":"_shop_app_session"}"#,
        ),
        (
            rails("X.session_store :redis_session_store, key: '_front'\n"),
            r#"{"/kind":"introspect","/cookie":"_front"}"#,
        ),
        (
            better(
                "betterAuth({ advanced: { cookiePrefix: 'acme' }, secret: process.env.MY_AUTH_SECRET })",
            ),
            r#"{"/cookie_prefix":"acme","/secret":"env:MY_AUTH_SECRET","/store/table":null,"/store/user_column":null}"#,
        ),
        (
            better(
                "betterAuth({ database: drizzleAdapter(db, { usePlural: true }), socialProviders: { x: { clientSecret: process.env.NO } } })",
            ),
            r#"{"/secret":"env:BETTER_AUTH_SECRET","/store/table":"sessions","/store/user_table":"users"}"#,
        ),
        (
            better(
                "betterAuth({ user: { modelName: 'people' }, session: { modelName: 'logins', fields: { userId: 'person', token: 'id', expiresAt: 'ends' } } })",
            ),
            r#"{"/store/table":"logins","/store/user_table":"people","/store/user_column":"person","/store/token_column":"id","/store/expires_column":"ends"}"#,
        ),
        (
            better(
                "betterAuth({ database: mongodbAdapter(db), advanced: { cookiePrefix: 'acme' } })",
            ),
            r#"{"/kind":"introspect","/cookie":"acme.session_token"}"#,
        ),
        (
            phoenix(
                "@session_options [\n  store: :cookie,\n  key: \"_shop\",\n  signing_salt: \"aBcDeFgH\",\n  encryption_salt: \"iJkLmNoP\"\n]\n",
            ),
            r#"{"/cookie":"_shop","/signing_salt":"aBcDeFgH","/encryption_salt":"iJkLmNoP"}"#,
        ),
        (
            phoenix("@session_options [key: \"_shop\", signing_salt: \"aBcDeFgH\"]\n"),
            r#"{"/encryption_salt":null}"#,
        ),
    ] {
        let (session, file) = session_of(&files);
        let expected: Value = serde_json::from_str(expected).unwrap();
        for (at, value) in expected.as_object().unwrap() {
            assert_eq!(session.pointer(at).unwrap_or(&Value::Null), value, "{at}: {file}");
        }
    }
    let unread = rails("X.session_store :cookie_store, key: Rails.configuration.name\n");
    let (_, file) = session_of(&unread);
    let guess =
        "cookie = \"_shop_app_session\" # guess: `key:` in config/initializers/session_store.rb";
    assert!(file.contains(guess), "{file}");
}

#[test]
fn laravels_driver_says_where_the_sessions_are() {
    let composer = ("composer.json", r#"{"require":{"laravel/framework":"^11.0"}}"#);
    let config = "<?php return ['driver' => env('SESSION_DRIVER', 'file')];\n";
    for (env, source, kind, driver, encrypt) in [
        ("SESSION_DRIVER=file\nSESSION_ENCRYPT=true\n", "", "laravel", Some("file"), Some(true)),
        ("SESSION_DRIVER=cookie\nSESSION_ENCRYPT=1\n", "", "laravel", Some("cookie"), Some(true)),
        ("SESSION_DRIVER=redis\nSESSION_ENCRYPT=false\n", "", "laravel", Some("redis"), None),
        ("SESSION_DRIVER=database\nSESSION_ENCRYPT=true\n", config, "laravel", None, Some(true)),
        ("SESSION_DRIVER=\n", config, "laravel", Some("file"), None),
        ("", config, "laravel", Some("file"), None),
        ("", "", "laravel", None, None),
        ("SESSION_DRIVER=array\n", "", "introspect", None, None),
        ("SESSION_DRIVER=memcached\n", config, "introspect", None, None),
    ] {
        let (session, file) =
            session_of(&[composer, (".env", env), ("config/session.php", source)]);
        let found = (&session["kind"], session["driver"].as_str(), session["encrypt"].as_bool());
        assert_eq!(found, (&Value::from(kind), driver, encrypt), "{env}: {file}");
    }
}
