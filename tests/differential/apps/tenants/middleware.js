import { NextResponse } from "next/server";

export const config = { matcher: ["/((?!api|_next|[\\w-]+\\.\\w+).*)"] };

const ROOT = "example.com";

export function middleware(request) {
  const host = (request.headers.get("host") ?? "").split(":")[0];
  const { pathname, search } = request.nextUrl;
  const isTenant = host.endsWith(`.${ROOT}`) && host !== `www.${ROOT}`;
  if (!isTenant) {
    // The pages of tenants are not to be had by their own paths.
    return pathname.startsWith("/s/") ? new NextResponse("no such page", { status: 404 }) : NextResponse.next();
  }
  const tenant = host.slice(0, -ROOT.length - 1);
  if (tenant === "blocked") return new NextResponse(null, { status: 410 });
  if (pathname.startsWith("/s/")) return NextResponse.redirect(new URL("/", request.url));
  const response = NextResponse.rewrite(new URL(`/s/${tenant}${pathname === "/" ? "" : pathname}${search}`, request.url));
  response.headers.set("X-Tenant", tenant);
  return response;
}
