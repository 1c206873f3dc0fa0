import type { Metadata } from "next";
import { cookies, headers } from "next/headers";

import { RenderedAt } from "../../content/rendered-at";

export const metadata: Metadata = { title: "Dashboard" };

export default async function Dashboard() {
  const visitor = (await cookies()).get("visitor")?.value ?? "stranger";
  const agent = (await headers()).get("user-agent") ?? "unknown";
  return (
    <>
      <h1>Hello, {visitor}</h1>
      <p>This page reads your cookies and headers, so it is made for you and never kept.</p>
      <p>
        <small>{agent}</small>
      </p>
      <RenderedAt />
    </>
  );
}
