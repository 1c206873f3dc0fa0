import { revalidateTag } from "next/cache";

export async function POST(request) {
  const { tag, profile } = Object.fromEntries(request.nextUrl.searchParams);
  revalidateTag(tag, profile === "now" ? { expire: 0 } : profile);
  return new Response(null, { status: 204 });
}
