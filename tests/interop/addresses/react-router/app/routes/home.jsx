import { Link } from "react-router";

export const loader = () => ({ text: "open to all" });

export default function Home({ loaderData }) {
  return (
    <main>
      <p>{loaderData.text}</p>
      <Link to="/account">Account</Link>
    </main>
  );
}
