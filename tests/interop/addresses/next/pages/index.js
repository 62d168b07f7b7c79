import Link from "next/link";

export const getServerSideProps = () => ({ props: { text: "open to all" } });

export default function Home({ text }) {
  return (
    <main>
      <p>{text}</p>
      <Link href="/account" prefetch={false}>Account</Link>
    </main>
  );
}
