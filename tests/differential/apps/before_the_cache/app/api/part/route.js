const WHOLE = "0123456789";

export function GET(request) {
  const [, first, last] = /^bytes=(\d+)-(\d+)$/.exec(request.headers.get("range") ?? "") ?? [];
  if (first === undefined) return new Response(WHOLE, { headers: { "Accept-Ranges": "bytes" } });
  const headers = { "Content-Range": `bytes ${first}-${last}/${WHOLE.length}` };
  return new Response(WHOLE.slice(Number(first), Number(last) + 1), { status: 206, headers });
}
