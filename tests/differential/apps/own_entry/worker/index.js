// A Worker entry of the app's own: a password before some pages, a redirect, and headers on every response.
import vinext from "vinext/server/fetch-handler";

function answered(request) {
  const { pathname } = new URL(request.url);
  if (pathname.startsWith("/guarded") && request.headers.get("authorization") !== "Basic dTpwdw==") {
    return new Response("password", { status: 401, headers: { "WWW-Authenticate": "Basic" } });
  }
  if (request.headers.get("cookie") === "banned=1") return Response.redirect(new URL("/api/me", request.url), 302);
  return null;
}

export default {
  async fetch(request, env, ctx) {
    const own = answered(request);
    if (own) return own;
    const response = await vinext.fetch(request, env, ctx);
    const mine = new Response(response.body, response);
    mine.headers.set("X-Frame-Options", "DENY");
    mine.headers.set("X-Visitor", request.headers.get("cookie") ?? "nobody");
    return mine;
  },
};
