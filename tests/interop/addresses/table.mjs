// The apps, one row each, and every address under which they serve their guarded pages.
//
//   build      before it is started; `copy` names the source that several versions share
//   start      what starts it on a port
//   rules      the guarded pages as gateway.toml names them, and what `[upstream]` must say of the app
//   serve      addresses that serve a guarded page, `{build}` being the id of the build; `bare` ones without its token,
//              `asked` ones with header fields
//   refer      addresses that the app answers otherwise (a redirect to the page): they need the session as well
//   open       addresses that need none
//   prefetch   what browsers and links ask ahead of time

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const here = fileURLToPath(new URL(".", import.meta.url));
/** The frameworks ask for newer versions of Node.js than the tests do; npm has one. */
const node = join(here, `runtime/node_modules/node-linux-${process.arch}/bin/node`);
const python = join(here, "../apps/.venv/bin");
const RSC = { RSC: "1" };

const next = (version, { base = "", more = {} } = {}) => ({
  title: `Next.js ${version}${base && ", with a base path"}: Pages Router with locales and middleware, App Router`,
  folder: `next-${version}`,
  copy: "next",
  env: { BASE_PATH: base, NEXT_TELEMETRY_DISABLED: "1", CI: "1" },
  build: [node, "node_modules/next/dist/bin/next", "build"],
  start: (port) => [node, "node_modules/next/dist/bin/next", "start", "--hostname", "127.0.0.1", "--port", port],
  buildId: () => readFileSync(join(here, `next-${version}/.next/BUILD_ID`), "utf8"),
  rules: ["/account", "/team"],
  upstream: `locales = ["en", "de"]\n${base && `base_path = "${base}"\n`}`,
  serve: [
    "/account",
    "/account?next=1",
    "/en/account",
    "/de/account",
    "/DE/account",
    "/_next/data/{build}/account.json",
    "/_next/data/{build}/en/account.json",
    "/_next/data/{build}/de/account.json",
    "/_next/data/{build}/en/team.json",
    "/team",
    ...(more.serve ?? []),
  ].map((path) => base + path),
  asked: [
    [`${base}/team`, RSC],
    [`${base}/account`, { "x-nextjs-data": "1" }],
  ],
  refer: ["/account/", "/team/", "//account"].map((path) => base + path),
  open: ["/", "/de", "/_next/data/{build}/en.json", "/_next/data/{build}/de.json"].map((path) => base + path || "/"),
  prefetch: [
    [`${base}/_next/data/{build}/en/account.json`, { "x-middleware-prefetch": "1", "x-nextjs-data": "1" }],
    [`${base}/_next/data/{build}/en/account.json`, { purpose: "prefetch", "x-nextjs-data": "1" }],
    [`${base}/team`, { ...RSC, "next-router-prefetch": "1" }],
  ],
});

const reactRouter = (version, { cli, serve = [] }) => ({
  title: `React Router ${version}`,
  folder: `react-router-${version}`,
  copy: "react-router",
  env: { HOST: "127.0.0.1" },
  build: [node, `node_modules/@react-router/dev/${cli}`, "build"],
  start: () => [node, `node_modules/@react-router/serve/${cli}`, "build/server/index.js"],
  rules: ["/account"],
  serve: [
    "/account",
    "/account/",
    "/Account",
    "/%61ccount",
    "/x/../account",
    "/account.data",
    "/Account.data",
    "/account.data?_routes=routes%2Faccount",
    ...serve,
  ],
  refer: ["/__manifest?p=%2Faccount&version=1", "/__manifest?paths=%2F%2C%2Faccount&version=1", "/account.data/"],
  open: ["/", "/_root.data", "/__manifest?paths=%2F&version=1"],
  prefetch: [["/account.data", { purpose: "prefetch" }]],
});

export const table = [
  next("14"),
  next("15", { base: "/shop" }),
  next("16", { more: { serve: ["/x/../account"] } }),
  reactRouter("7", { cli: "bin.js" }),
  reactRouter("8", { cli: "bin.cjs", serve: ["/account/_.data"] }),
  {
    title: "Nuxt 4",
    folder: "nuxt",
    env: { HOST: "127.0.0.1", NUXT_TELEMETRY_DISABLED: "1" },
    build: [node, "node_modules/nuxt/bin/nuxt.mjs", "build"],
    start: () => [node, ".output/server/index.mjs"],
    rules: ["/account", "/report"],
    serve: ["/account", "/account/", "/Account", "/%61ccount"],
    bare: ["/report", "/report/_payload.json", "/report/_payload.json?{build}"],
    refer: ["/account/_payload.json", "/account/_payload.js"],
    open: ["/"],
    prefetch: [["/account", { purpose: "prefetch" }]],
  },
  {
    title: "SvelteKit 2",
    folder: "sveltekit",
    env: { HOST: "127.0.0.1" },
    build: [node, "node_modules/vite/bin/vite.js", "build"],
    start: () => [node, "build/index.js"],
    rules: ["/account"],
    serve: [
      "/account",
      "/%61ccount",
      "/x/../account",
      "/account/__data.json",
      "/%61ccount/__data.json",
      "/account/__data.json?x-sveltekit-invalidated=01",
    ],
    refer: ["/account/", "/account/__route.js"],
    open: ["/", "/__data.json"],
    prefetch: [["/account/__data.json", { purpose: "prefetch" }]],
  },
  {
    title: "Rails",
    folder: "rails",
    env: {},
    start: (port) => ["puma", "--quiet", "--bind", `tcp://127.0.0.1:${port}`, "config.ru"],
    rules: ["/account"],
    upstream: `locales = ["en", "de"]\n`,
    serve: [
      "/account",
      "/account/",
      "//account",
      "/account.json",
      "/account.html",
      "/account.anything",
      "/de/account",
      "/de/account.json",
    ],
    refer: ["/Account", "/%61ccount"],
    open: ["/", "/de"],
    prefetch: [["/account", { "sec-purpose": "prefetch" }]],
  },
  {
    title: "Django",
    folder: "django",
    env: {},
    start: (port) => [join(python, "gunicorn"), "--bind", `127.0.0.1:${port}`, "pages"],
    rules: ["/account", "/report"],
    upstream: `locales = ["en", "de"]\n`,
    serve: ["/account/", "/%61ccount/", "/de/account/", "/de/%61ccount/", "/report", "/report.json", "/report.html"],
    refer: ["/account", "/de/account"],
    open: ["/"],
    prefetch: [["/account/", { purpose: "prefetch" }]],
  },
  {
    title: "PHP behind a front controller",
    folder: "php",
    env: {},
    start: (port) => ["php", "-S", `127.0.0.1:${port}`, "-t", "."],
    rules: ["/account"],
    serve: [
      "/account",
      "/account/",
      "//account",
      "/%61ccount",
      "/x/../account",
      "/index.php/account",
      "/index.php/account/",
      "/index.php//account",
      "/index.php/%61ccount",
      "/index.php?r=account",
      "/index.php?r=%2Faccount",
      "/?r=account",
    ],
    refer: ["/INDEX.php/account"],
    open: ["/", "/index.php"],
    prefetch: [["/index.php/account", { purpose: "prefetch" }]],
  },
];
