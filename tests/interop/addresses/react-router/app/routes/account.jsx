// The guarded page: its text, and the token that came with the request.
export const loader = ({ request }) => ({
  text: `the guarded page, token=[${request.headers.get("x-page-token") ?? ""}]`,
});

export default function Account({ loaderData }) {
  return <p>{loaderData.text}</p>;
}
