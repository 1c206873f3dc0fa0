import { cookies, headers } from "next/headers";

export default async () => (
  <h1>
    dashboard of {(await headers()).get("x-user") ?? "nobody"}, {(await cookies()).get("session")?.value}
  </h1>
);
