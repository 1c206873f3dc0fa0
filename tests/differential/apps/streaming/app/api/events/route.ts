export function GET() {
  const parts = ["data: 1\n\n", "data: 2\n\n"].map((part) => new TextEncoder().encode(part));
  let sent = 0;
  const body = new ReadableStream({
    async pull(controller) {
      if (sent > 0) await new Promise((resolve) => setTimeout(resolve, 800));
      controller.enqueue(parts[sent++]);
      if (sent === parts.length) controller.close();
    },
  });
  return new Response(body, { headers: { "Content-Type": "text/event-stream", "Cache-Control": "no-cache, no-transform" } });
}
