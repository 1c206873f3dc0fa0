import { NextResponse } from "next/server";

export const config = {
  matcher: [
    { source: "/guarded", missing: [{ type: "cookie", key: "member" }] },
    { source: "/de/nur-deutsch", locale: false },
    "/shown/:path*",
  ],
};

export function middleware(request) {
  const { pathname, locale } = request.nextUrl;
  if (pathname.startsWith("/shown")) {
    const response = NextResponse.next();
    response.headers.set("X-Locale", locale);
    return response;
  }
  return new NextResponse(`no ${pathname} in ${locale}`, { status: 403 });
}
