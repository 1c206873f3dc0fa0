import type { Metadata } from "next";

import { RenderedAt } from "../../content/rendered-at";

export const metadata: Metadata = { title: "Big" };

const rows = Array.from({ length: 1400 }, (_, index) => ({
  number: index + 1,
  square: (index + 1) ** 2,
  root: Math.sqrt(index + 1).toFixed(6),
}));

export default function Big() {
  return (
    <>
      <h1>A big page</h1>
      <p>{rows.length} rows, more than 300 KB of HTML. It costs its cache no more than a small one.</p>
      <RenderedAt />
      <table>
        <thead>
          <tr>
            <th>n</th>
            <th>n²</th>
            <th>√n</th>
          </tr>
        </thead>
        <tbody>
          {rows.map(({ number, square, root }) => (
            <tr key={number}>
              <td>{number}</td>
              <td>{square}</td>
              <td>{root}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </>
  );
}
