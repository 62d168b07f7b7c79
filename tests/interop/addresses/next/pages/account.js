// The guarded page: its text, and the token that came with the request.
export const getServerSideProps = ({ req }) => ({
  props: { text: `the guarded page, token=[${req.headers["x-page-token"] ?? ""}]` },
});

export default function Account({ text }) {
  return <p data-testid="text">{text}</p>;
}
