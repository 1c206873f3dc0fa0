import { NextResponse } from "next/server";

// Everything but the build's files, as the documentation of next-auth has it.
export const config = { matcher: ["/((?!_next/static|favicon.ico).*)"] };

const PROTECTED = ["/dashboard", "/members", "/api/me"];

export function middleware(request) {
  const { pathname, search } = request.nextUrl;
  const session = request.cookies.get("session")?.value;
  const isSignedIn = session !== undefined && session.startsWith("user-");
  if (!isSignedIn && PROTECTED.some((path) => pathname === path || pathname.startsWith(`${path}/`))) {
    if (pathname.startsWith("/api/")) return NextResponse.json({ error: "sign in first" }, { status: 401 });
    const login = new URL("/login", request.url);
    login.searchParams.set("callbackUrl", pathname + search);
    const response = NextResponse.redirect(login);
    if (session !== undefined) response.cookies.delete("session");
    return response;
  }
  if (isSignedIn && pathname === "/login") return NextResponse.redirect(new URL("/dashboard", request.url));
  const headers = new Headers(request.headers);
  headers.delete("x-user");
  if (isSignedIn) headers.set("x-user", session.slice("user-".length));
  const response = NextResponse.next({ request: { headers } });
  // A session is prolonged by each visit.
  if (isSignedIn) response.cookies.set("session", session, { httpOnly: true, sameSite: "lax", path: "/", maxAge: 3600 });
  return response;
}
