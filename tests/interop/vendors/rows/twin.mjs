// A preset whose token the vendor makes, and the vendor's library beside it: both ask the stand-in, and must have asked the same.

import assert from "node:assert/strict";

export const bearer = ["authorization", "content-type"];

/** What was asked, with only the headers named. */
function essence({ method, path, query, headers, body }, names) {
  return { method, path, query, body, ...Object.fromEntries(names.map((name) => [name, headers[name]])) };
}

/** A row whose vendor's library asks the same; `sdk` gets the stand-in's address for a host. */
export function twin({ ask, answers, status, headers, sdk, gives, same = (asked) => asked, sentence, evidence = "recorded" }) {
  return {
    ask,
    answers,
    status,
    evidence,
    sentence: sentence ?? "the vendor is asked what its own library asks",
    async says({ asked, body, issuer, secrets }) {
      assert.deepEqual(body, gives);
      await sdk({ at: (host) => `${issuer.url}/${host}`, secrets, asked, issuer });
      const [theirs, ...more] = issuer.taken();
      assert.deepEqual(more, [], "its library asks once");
      assert.deepEqual(same(essence(asked, headers)), same(essence(theirs, headers)));
    },
  };
}
