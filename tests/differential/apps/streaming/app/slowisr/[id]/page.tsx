import { Suspense } from "react";
export const revalidate = 60;
export const generateStaticParams = () => [];
async function Now() { await new Promise(r => setTimeout(r, 800)); return <p id="who">{new Date().toISOString()}</p>; }
export default function Page() { return <main><h1>Slow isr</h1><Suspense fallback={<p id="fb">loading…</p>}><Now /></Suspense></main>; }
