//! Prefixes of routers, in each framework's way to mount one.

use super::*;

fn project(files: &[(&str, &str)]) -> Project {
    let mut project = Project::manifests(std::path::Path::new("/nowhere"));
    project.files = files
        .iter()
        .map(|(path, text)| Source { path: (*path).to_owned(), text: (*text).to_owned() })
        .collect();
    project
}

fn served(path: &str, files: &[(&str, &str)]) -> (String, bool) {
    let project = project(files);
    let Mounted { path, is_sure } = mounted(path, &project.files[0], &project);
    (path, is_sure)
}

#[test]
fn a_routers_routes_are_served_below_where_it_is_mounted() {
    let express = "const router = express.Router();\nrouter.get('/token', f)";
    let python = "router = APIRouter(prefix=\"/rt\")\n";
    let blueprint = "bp = Blueprint('chat', __name__)\n";
    for (path, files) in [
        (
            "/api/v1/token",
            vec![
                ("src/routes/chat.js", express),
                (
                    "src/app.js",
                    "const a = require('a');const chat=require('./routes/chat');\napp.use('/api/v1', auth, chat)",
                ),
            ],
        ),
        (
            "/api/v1/token",
            vec![
                ("src/routes/chat.ts", express),
                (
                    "src/routes/index.ts",
                    "import { router as chat } from \"./chat.js\"\nrouter.use('/v1', chat)",
                ),
                ("src/app.ts", "import routes from './routes'\napp.use(\"/api\", routes)"),
            ],
        ),
        (
            "/chat/token",
            vec![("src/chat.ts", express), ("src/app.ts", "app.use('/chat', require('@/chat'))")],
        ),
        (
            "/rooms/token",
            vec![
                ("rooms.ts", "export const rooms = new Hono()"),
                ("index.ts", "import { rooms } from './rooms'\napp.route('/rooms', rooms)"),
            ],
        ),
        (
            "/v2/token",
            vec![
                ("plugins/rooms.ts", "export default async function (fastify) {}"),
                (
                    "index.ts",
                    "import rooms from './plugins/rooms.js'\napp.register(rooms, { prefix: '/v2' })",
                ),
            ],
        ),
        ("/k/token", vec![("r.js", "const router = new Router({ prefix: '/k' })\napp.listen(1)")]),
        (
            "/api/rt/token",
            vec![
                ("app/tokens.py", python),
                (
                    "app/main.py",
                    "from . import tokens\napp.include_router(tokens.router, prefix=\"/api\")",
                ),
            ],
        ),
        (
            "/rt/token",
            vec![
                ("app/tokens.py", python),
                ("app/main.py", "from app.tokens import router as t\napp.include_router(t)"),
            ],
        ),
        (
            "/live/token",
            vec![
                ("app/chat.py", blueprint),
                (
                    "app/__init__.py",
                    "from .chat import bp\napp.register_blueprint(bp, url_prefix='/live')",
                ),
            ],
        ),
        (
            "/api/chat/token",
            vec![
                ("chat/urls.py", "path('token', views.token)"),
                ("api/urls.py", "urlpatterns = [path('chat/', include('chat.urls'))]"),
                (
                    "config/urls.py",
                    "urlpatterns = [path('admin/', admin.site.urls), path('api/', include(('api.urls', 'api')))]",
                ),
            ],
        ),
        (
            "/api/tokens/token",
            vec![
                ("t.ts", "@Controller('tokens')\nclass T {}"),
                ("main.ts", "app.setGlobalPrefix('api')"),
            ],
        ),
    ] {
        assert_eq!(served("/token", &files), (path.to_owned(), true), "{files:?}");
    }
}

#[test]
fn a_mount_that_is_not_found_is_not_taken_for_none() {
    for file in ["const router = express.Router()", "import { Router } from 'express'; Router()"] {
        assert!(!served("/token", &[("src/chat.js", file)]).1, "{file}");
        let unrelated = ("app.js", "app.use('/other', require('./other'))");
        assert!(!served("/token", &[("src/chat.js", file), unrelated]).1, "{file}");
    }
    assert!(served("/token", &[("app.js", "app.get('/token', f); app.listen(3)")]).1);
}

#[test]
fn the_blocks_around_a_line_stand_before_its_path() {
    for (prefix, table) in [
        (
            "/api/v1",
            "draw do\n  namespace :api do\n    namespace :v1 do\n      get 'HERE'\n    end\n  end\nend",
        ),
        (
            "/v1",
            "draw do\n  namespace :api do\n    get 'x'\n  end\n  scope '/v1', module: 'm' do\n    get 'HERE'",
        ),
        ("/x", "namespace :api, path: 'x' do\n  get 'HERE'"),
        ("", "scope module: :api do\n  get 'HERE'"),
        ("/api", "  scope \"/api\", MyWeb do\n    pipe_through :api\n\n    get \"/HERE\", X"),
        (
            "/video",
            "Route::middleware('auth')->prefix('video')->group(function () {\n    Route::post('HERE')",
        ),
        (
            "/a/b",
            "Route::prefix('a')\n    ->middleware('x')\n    ->group(function () {\n        Route::group(['prefix' => 'b'], function () {\n            HERE",
        ),
        ("", "Route::get('x');\nHERE"),
    ] {
        let lines: Vec<&str> = table.lines().collect();
        let at = lines.iter().position(|line| line.contains("HERE")).unwrap();
        assert_eq!(around(&lines, at), prefix, "{table}");
    }
}
