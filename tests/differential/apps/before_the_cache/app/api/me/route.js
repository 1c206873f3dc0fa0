// As a job that is called with CRON_SECRET: the handler looks at the header itself.
export const GET = (request) =>
  request.headers.get("authorization") === "Bearer good"
    ? Response.json({ ok: true })
    : Response.json({ error: "who are you?" }, { status: 401 });
