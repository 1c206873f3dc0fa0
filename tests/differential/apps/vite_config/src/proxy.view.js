import { NextResponse } from "next/server";

export const config = {
  matcher: [
    { source: "/guarded/:path*", missing: [{ type: "cookie", key: "member" }] },
    { source: "/both", has: [{ type: "query", key: "x" }], missing: [{ type: "header", key: "x-skip", value: "1" }] },
    "/products/by-proxy-:name",
    "/far/:path*",
  ],
};

export function proxy(request) {
  const { pathname, searchParams } = request.nextUrl;
  if (pathname.startsWith("/guarded")) return new NextResponse("members only", { status: 403, headers: { "X-Denied": pathname } });
  if (pathname.startsWith("/both")) return NextResponse.redirect(new URL("/shop/login", request.url));
  if (pathname.startsWith("/far")) return NextResponse.rewrite(new URL(`${process.env.DATA_URL}/far`));
  if (searchParams.has("rewrite")) return NextResponse.rewrite(new URL("/shop/products/rewritten", request.url));
  const headers = new Headers(request.headers);
  headers.set("x-from-proxy", "1");
  const response = NextResponse.next({ request: { headers } });
  response.headers.set("X-Path", pathname);
  response.headers.set("X-Base-Path", request.nextUrl.basePath);
  if (pathname.includes("cookie")) response.cookies.set("seen", "1");
  return response;
}
