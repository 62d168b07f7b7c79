// The page. Its token is a variable: no cookie, no storage, gone with the tab.

export const PAGE = `<!doctype html>
<main></main>
<script type="module">
  const main = document.querySelector("main");
  let token = null;

  /** fetch as the signed-in user. */
  globalThis.authorized = (path, options = {}) => {
    const headers = { ...options.headers, ...(token && { Authorization: "Bearer " + token }) };
    return fetch(path, { ...options, headers });
  };

  async function signIn(event) {
    event.preventDefault();
    const body = JSON.stringify(Object.fromEntries(new FormData(event.target)));
    const options = { method: "POST", headers: { "Content-Type": "application/json" }, body };
    const response = await fetch("/token", options);
    if (!response.ok) return;
    token = (await response.json()).access_token;
    const { user } = await (await authorized("/whoami")).json();
    main.innerHTML = "<p>Signed in as " + user + "</p><button>Sign out</button>";
    main.querySelector("button").onclick = signOut;
  }

  async function signOut() {
    await authorized("/sign-out", { method: "POST" });
    token = null;
    showForm();
  }

  function showForm() {
    main.innerHTML = \`<form>
      <label>Username <input name="username"></label>
      <label>Password <input name="password" type="password"></label>
      <button>Sign in</button></form>\`;
    main.querySelector("form").onsubmit = signIn;
  }

  showForm();
</script>`;
