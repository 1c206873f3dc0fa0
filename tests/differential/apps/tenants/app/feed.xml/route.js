export const dynamic = "force-static";
export const revalidate = 60;

export function GET() {
  return new Response(`<feed><updated>${new Date().toISOString()}</updated></feed>`, { headers: { "Content-Type": "application/xml" } });
}
