import { Suspense } from "react";
import { connection } from "next/server";
async function Now() { await connection(); await new Promise(r => setTimeout(r, 800)); return <p id="who">{new Date().toISOString()}</p>; }
export default function Page() { return <main><h1>Slow conn</h1><Suspense fallback={<p id="fb">loading…</p>}><Now /></Suspense></main>; }
