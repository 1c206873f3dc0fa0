import { Suspense } from "react";
import { cacheLife } from "next/cache";
async function D() { "use cache"; cacheLife("minutes"); await new Promise(r => setTimeout(r, 800)); return <p id="who">{new Date().toISOString()}</p>; }
export default function Page() { return <main><h1>Slow use cache</h1><Suspense fallback={<p id="fb">loading…</p>}><D /></Suspense></main>; }
