import { Suspense } from "react";
import { cookies } from "next/headers";
async function Who() { const c = await cookies(); await new Promise(r => setTimeout(r, 800)); return <p id="who">hello {c.get("user")?.value ?? "stranger"}</p>; }
export default function Page() { return <main><h1>Slow hole</h1><Suspense fallback={<p id="fb">loading…</p>}><Who /></Suspense></main>; }
