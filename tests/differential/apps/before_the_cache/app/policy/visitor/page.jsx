import { cookies } from "next/headers";

export default async () => <h1>page of {(await cookies()).get("user")?.value ?? "nobody"}</h1>;
