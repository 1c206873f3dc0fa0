export async function GET(request) {
  return Response.json({ name: request.nextUrl.searchParams.get("name"), host: request.headers.get("host")?.split(":")[0] });
}
