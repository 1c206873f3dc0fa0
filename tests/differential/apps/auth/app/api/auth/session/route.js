import { cookies } from "next/headers";

export async function GET() {
  const session = (await cookies()).get("session")?.value;
  return Response.json(session ? { user: session.slice("user-".length) } : {}, { headers: { "Cache-Control": "private, no-cache, no-store" } });
}
