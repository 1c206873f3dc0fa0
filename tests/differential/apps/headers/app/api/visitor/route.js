export const revalidate = 60;
export const GET = (request) =>
  Response.json({ user: request.cookies.get("user")?.value }, { headers: { "Cache-Control": "private, max-age=9" } });
