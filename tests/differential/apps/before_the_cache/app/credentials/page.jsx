import { headers } from "next/headers";

export default async () => <p>credentials: {(await headers()).get("authorization") ?? "none"}</p>;
