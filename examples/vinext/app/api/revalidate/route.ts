import { revalidatePath, revalidateTag } from "next/cache";
import { after, type NextRequest } from "next/server";

/**
 * Invalidate a tag or a path: `?tag=products`, `?path=/blog`, `?path=/blog&type=layout`. With `&when=after` it is done
 * after the response has been sent; with `&expire=60` what carries the tag may be shown for 60 more seconds.
 *
 * An example, and open to anybody: a real site asks for a secret here.
 */
function invalidate(request: NextRequest) {
  const { searchParams } = request.nextUrl;
  const tag = searchParams.get("tag");
  const path = searchParams.get("path");
  const type = searchParams.get("type");
  const expire = searchParams.get("expire");
  if ((tag === null) === (path === null) || !(type === null || type === "layout" || type === "page")) {
    return Response.json({ error: "give either ?tag= or ?path= (with &type=layout or &type=page)" }, { status: 400 });
  }
  const revalidate = () => {
    if (tag !== null) revalidateTag(tag, { expire: Number(expire ?? 0) });
    if (path !== null) revalidatePath(path, type ?? undefined);
  };
  if (searchParams.get("when") === "after") after(revalidate);
  else revalidate();
  return Response.json({ revalidated: { tag, path, type }, at: new Date().toISOString() });
}

export const GET = invalidate;
export const POST = invalidate;
