// The guarded page: its text, and the token that came with the request.
export const load = ({ request }) => ({
  text: `the guarded page, token=[${request.headers.get("x-page-token") ?? ""}]`,
});
