import { NextResponse } from "next/server";

export const config = { matcher: ["/members/:path*"] };

export function middleware(request) {
  return request.cookies.has("member") ? NextResponse.next() : NextResponse.redirect(new URL("/isr", request.url));
}
