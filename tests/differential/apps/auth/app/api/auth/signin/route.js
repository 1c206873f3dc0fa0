import { NextResponse } from "next/server";

export async function POST(request) {
  const callback = request.nextUrl.searchParams.get("callbackUrl") ?? "/";
  const response = NextResponse.redirect(new URL(callback, request.url), 302);
  response.cookies.set("session", "user-ann", { httpOnly: true, sameSite: "lax", path: "/" });
  response.cookies.set("csrf", crypto.randomUUID(), { path: "/" });
  return response;
}
