import { cookies } from "next/headers";

export default async () => <h1>hello {(await cookies()).get("user")?.value ?? "stranger"}</h1>;
