import { Suspense } from "react";
import { cookies } from "next/headers";
async function Now() { const c = await cookies(); await new Promise(r => setTimeout(r, 800)); return <p id="who">{c.get("user")?.value} {new Date().toISOString()}</p>; }
export default function Page() { return <main><h1>Slow cookies</h1><Suspense fallback={<p id="fb">loading…</p>}><Now /></Suspense></main>; }
