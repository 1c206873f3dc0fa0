import { NextResponse } from "next/server";

const LOCALES = ["en", "de", "fr"];
const DEFAULT = "en";

export const config = { matcher: ["/((?!api|_next|.*\\..*).*)"] };

function preferred(request) {
  const chosen = request.cookies.get("NEXT_LOCALE")?.value;
  if (LOCALES.includes(chosen)) return chosen;
  const accepted = (request.headers.get("accept-language") ?? "").split(",").map((part) => part.split(";")[0].trim().slice(0, 2));
  return accepted.find((locale) => LOCALES.includes(locale)) ?? DEFAULT;
}

/** The default locale has no prefix, as with next-intl's `localePrefix: "as-needed"`. */
export function proxy(request) {
  const { pathname } = request.nextUrl;
  const [, first, ...rest] = pathname.split("/");
  if (first === DEFAULT) {
    const response = NextResponse.redirect(new URL(`/${rest.join("/")}`, request.url));
    response.cookies.set("NEXT_LOCALE", DEFAULT, { path: "/", sameSite: "lax" });
    return response;
  }
  if (LOCALES.includes(first)) {
    const response = NextResponse.next();
    response.headers.set("Link", LOCALES.map((locale) => `<${request.nextUrl.origin}/${locale}/${rest.join("/")}>; rel="alternate"; hreflang="${locale}"`).join(", "));
    if (request.cookies.get("NEXT_LOCALE")?.value !== first) response.cookies.set("NEXT_LOCALE", first, { path: "/", sameSite: "lax" });
    return response;
  }
  const locale = preferred(request);
  if (locale !== DEFAULT) {
    const response = NextResponse.redirect(new URL(`/${locale}${pathname === "/" ? "" : pathname}`, request.url));
    response.headers.set("Vary", "Accept-Language, Cookie");
    return response;
  }
  return NextResponse.rewrite(new URL(`/${DEFAULT}${pathname}`, request.url));
}
