import { revalidatePath, revalidateTag } from "next/cache";

export async function POST(request) {
  const asked = await request.json();
  if (asked.path) revalidatePath(asked.path, asked.type);
  if (asked.tag) asked.profile ? revalidateTag(asked.tag, asked.profile) : revalidateTag(asked.tag);
  return Response.json({ ok: true });
}
