//! The token routes that `portcullis init` finds: those that run, that call the vendor, and
//! no other one, since the report says to delete them.

use crate::init::{in_project, tokens};

#[test]
fn a_route_is_the_one_that_runs_and_stands_below_its_routers_prefix() {
    let package = r#"{"dependencies":{"express":"5","stream-chat":"8"}}"#;
    let router = "// router.get('/old', (q, r) => r.json(chat.createToken(q.id)))\n\
                  const router = express.Router()\n\
                  const chat = StreamChat.getInstance(key, secret)\n\
                  router.get('/token', (q, r) => { db.get(q.id); r.json(chat.createToken(q.id)) })\n";
    let app =
        "import tokens from './routes/tokens.js'\napp.use('/api/v1', tokens)\napp.listen(3000)\n";
    let (_, said, file) = in_project(&[
        ("package.json", package),
        ("__tests__/a.js", "app.get('/test', chat.createToken('x'))"),
        ("src/a.test.ts", "app.get('/test', chat.createToken('x'))"),
        ("src/app.js", app),
        ("src/routes/tokens.js", router),
    ]);
    assert!(file.contains("path = \"/api/v1/token\"\n"), "{file}");
    assert!(said.contains("  src/routes/tokens.js: only its route, the gateway"), "{said}");

    let (_, said, file) =
        in_project(&[("package.json", package), ("src/routes/tokens.js", router)]);
    let note = "the prefix this router is mounted under was not found";
    assert!(file.contains(note) && said.contains(note), "{file}{said}");
    assert!(!said.contains("the gateway answers /token now"), "{said}");

    let commented = "/* app.get('/old', chat.createToken(1)) */\n// chat.createToken(2)\n";
    let (_, said, _) = in_project(&[("package.json", package), ("app.js", commented)]);
    assert!(said.contains("no route that makes the token was found"), "{said}");
    assert!(!said.contains("To delete"), "{said}");
}

const PASSPORT: &[(&str, &str)] = &[
    (
        "package.json",
        r#"{"dependencies":{"express":"4","cookie-session":"2","passport":"1","pusher":"5"}}"#,
    ),
    ("auth.js", "router.post('/login', passport.authenticate('local'))\n"),
    (
        "server.js",
        "app.post('/in', passport.authenticate('google'))\n\
         const pusher = new Pusher({ key: process.env.PUSHER_KEY })\n\
         app.post('/pusher/auth', (q, r) => r.send(pusher.authenticate(q.body.id, q.body.name)))\n",
    ),
];
const DJANGO: &[(&str, &str)] = &[
    ("requirements.txt", "Django==5.1\npusher\n"),
    (
        "accounts/views.py",
        "from django.contrib.auth import authenticate\ndef login_view(request):\n  \
         user = authenticate(request, username=request.POST['u'])\n",
    ),
    (
        "shop/urls.py",
        "urlpatterns = [path('login/', views.login_view), path('rt/auth', views.rt_auth)]\n",
    ),
    ("rt/clients.py", "import pusher\np = pusher.Pusher(key='k')\n"),
    (
        "rt/views.py",
        "from .clients import p\ndef rt_auth(request):\n  return p.authenticate(request.POST)\n",
    ),
];
const OWN_FUNCTION: &[(&str, &str)] = &[
    ("package.json", r#"{"dependencies":{"next":"15","next-auth":"4","stream-chat":"8"}}"#),
    (
        "app/api/verify-email/route.ts",
        "import { createToken } from '@/lib/tokens'\nexport const POST = () => createToken('a')\n",
    ),
    ("lib/tokens.ts", "export function createToken(email: string) { return uuid() }\n"),
    ("lib/stream.ts", "export const of = () => StreamChat.getInstance(k, s).createToken(id)\n"),
];
const TWO_VENDORS: &[(&str, &str)] = &[
    (
        "package.json",
        r#"{"dependencies":{"next":"15","next-auth":"4","livekit-server-sdk":"2",
           "stream-chat":"8","@stream-io/node-sdk":"1"}}"#,
    ),
    (
        "app/(chat)/api/chat/route.ts",
        "import { StreamChat } from 'stream-chat'\nconst streamClient = StreamChat.getInstance(k)\n\
         export const GET = () => streamClient.createToken(id)\n",
    ),
    (
        "app/api/room/route.ts",
        "import { AccessToken } from 'livekit-server-sdk'\n\
         export const POST = () => new AccessToken(key, secret).toJwt()\n",
    ),
];

#[test]
fn a_route_is_one_that_calls_the_vendor_and_no_two_tokens_share_one() {
    for (files, expected, kept) in [
        (PASSPORT, &[("pusher", "/pusher/auth")][..], "auth.js"),
        (DJANGO, &[("pusher", "/rt/auth")], "accounts/views.py"),
        (OWN_FUNCTION, &[("stream-chat", "/api/stream-chat-token")], "app/api/verify-email"),
        (
            TWO_VENDORS,
            &[
                ("livekit", "/api/room"),
                ("stream-chat", "/api/chat"),
                ("stream-video", "/api/stream-video-token"),
            ],
            "lib",
        ),
    ] {
        let (at, said, file) = in_project(files);
        let found = tokens(&at, &said, &file);
        let found: Vec<_> =
            found.iter().map(|(name, path)| (name.as_str(), path.as_str())).collect();
        assert_eq!(found, expected, "{file}");
        assert!(!said.contains(kept), "{said}");
    }
}
