import { NextResponse } from "next/server";

export const config = { matcher: "/ruled/:path*" };

export function middleware() {
  return NextResponse.next();
}
