//! Calls that are a vendor's, and calls of the same name that are not.

use std::path::Path;

use super::*;
use crate::cli::init::knowledge::Knowledge;

/// The files in which one of a vendor's calls was found.
fn found(vendor: &str, files: &[(&str, &str)]) -> Vec<String> {
    let mut project = Project::manifests(Path::new("/nowhere"));
    let read = |(path, text): &(&str, &str)| Source { path: (*path).into(), text: (*text).into() };
    project.files = files.iter().map(read).collect();
    let rule = Knowledge::built_in().vendors.iter().find(|rule| rule.name == vendor).unwrap();
    let calls = VendorCalls::new(rule, &project);
    let places = rule.calls.iter().flat_map(|call| calls.of(call));
    places.map(|(file, _)| file.path.clone()).collect()
}

#[test]
fn a_method_counts_on_the_vendors_client_alone() {
    for (vendor, text, counts) in [
        ("pusher", "const pusher = new Pusher({});\npusher.authenticate(id, name)", true),
        ("pusher", "new Pusher({});\npassport.authenticate(\"local\")", false),
        ("pusher", "import pusher\nuser = authenticate(request, username=u)", false),
        ("pusher", "p = pusher.Pusher(key)\np.authenticate(channel=c)", true),
        ("pusher", "Pusher.authenticate params[:channel_name]", true),
        ("pusher", "$this->pusher->authorizeChannel($name, $id)", true),
        ("pusher", "this.pusherServer\n  .authorizeChannel(id, name)", true),
        ("pusher", "pusher.authenticateUser(id, user)", false),
        ("stream-chat", "import { StreamChat } from 'stream-chat'\ncreateToken(email)", false),
        ("stream-chat", "StreamChat.getInstance(k, s).createToken(id)", true),
        ("stream-chat", "class A { constructor(c: StreamChat) { c.createToken(id) } }", true),
        ("stream-chat", "new StreamChat(k); user.createToken('api')", false),
        ("stream-chat", "def chat():\n  return StreamChat(k)\nchat().create_token(id)", true),
        ("stream-video", "const c = new StreamClient(k, s)\nc.generateUserToken({})", true),
        ("stream-video", "const c = StreamChat.getInstance(k, s)\nc.createToken(id)", false),
        ("ably", "await new Ably.Rest(key).auth.createTokenRequest({})", true),
        ("liveblocks", "posthog.identifyUser(id)", false),
        ("liveblocks", "(await liveblocks()).prepareSession(id)", true),
    ] {
        assert_eq!(!found(vendor, &[("server/a", text)]).is_empty(), counts, "{vendor}: {text}");
    }
}

#[test]
fn a_function_or_class_counts_in_a_file_that_knows_the_vendor() {
    for (vendor, text, counts) in [
        ("livekit", "import { AccessToken } from 'livekit-server-sdk'\nnew AccessToken(k)", true),
        ("livekit", "const { AccessToken } = require('twilio').jwt\nnew AccessToken(k)", false),
        ("livekit", "new ChatAccessToken(livekit)", false),
        ("portive", "import { createAuthToken } from '@portive/auth'\ncreateAuthToken(k)", true),
        ("portive", "import { createAuthToken } from './jwt'\ncreateAuthToken(user)", false),
        ("portive", "// portive\nexport function createAuthToken(user) {}", false),
        ("knock", "import { signUserToken } from '@knocklabs/node'\nsignUserToken(id)", true),
        ("cloudinary", "cloudinary.utils.api_sign_request(params, secret)", true),
        ("openai", "fetch('https://api.openai.com/v1/realtime/client_secrets')", true),
    ] {
        assert_eq!(!found(vendor, &[("server/a", text)]).is_empty(), counts, "{vendor}: {text}");
    }
}

#[test]
fn a_client_may_come_from_another_file() {
    let typescript = ("lib/chat.ts", "export const server = StreamChat.getInstance(k, s)\n");
    let default = ("lib/chat.ts", "const it = StreamChat.getInstance(k, s)\nexport default it\n");
    let both = ("lib/chat.ts", "export const users = db()\nexport const a = new StreamChat(k)\n");
    let python = ("shop/chat.py", "from stream_chat import StreamChat\nserver = StreamChat(k)\n");
    for (file, route, text, counts) in [
        (
            typescript,
            "api/a.ts",
            "import { server } from '@/lib/chat'\nserver.createToken(id)",
            true,
        ),
        (
            typescript,
            "api/a.ts",
            "import { server } from '@/lib/db'\nserver.createToken(id)",
            false,
        ),
        (default, "api/a.ts", "import server from '../lib/chat'\nserver.createToken(id)", true),
        (both, "api/a.ts", "import { a, users } from '../lib/chat'\nusers.createToken()", false),
        (
            typescript,
            "src/a.ts",
            "import { server } from '$lib/chat'\nserver.createToken(id)",
            true,
        ),
        (python, "shop/views.py", "from .chat import server\nserver.create_token(id)", true),
        (python, "shop/views.py", "from . import chat\nchat.server.create_token(id)", true),
        (python, "shop/views.py", "from . import users\nusers.server.create_token(id)", false),
    ] {
        let found = found("stream-chat", &[file, (route, text)]);
        assert_eq!(found.contains(&route.to_owned()), counts, "{route}: {text}: {found:?}");
    }
}
