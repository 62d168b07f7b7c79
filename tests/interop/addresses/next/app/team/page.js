// The guarded page of the App Router.
import { headers } from "next/headers";

export default async function Team() {
  const token = (await headers()).get("x-page-token") ?? "";
  return <p>{`the guarded page, token=[${token}]`}</p>;
}
