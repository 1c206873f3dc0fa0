"use client";

import Link from "next/link";
import { useState } from "react";

export function Counter() {
  const [count, set] = useState(0);
  return (
    <p>
      <button onClick={() => set(count + 1)}>{count}</button> <Link href="/about">about</Link>
    </p>
  );
}
