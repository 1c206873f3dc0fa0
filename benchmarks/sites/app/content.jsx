import { FRAME_BYTES, ROW_BYTES } from "./measured.js";

const ASCII = "a row as a list of products or of posts has them";
const WORDS = "Zeile wie in Listen: größer, naïve, 東京, λόγος, 🙂";

/** A table that makes the page's HTML as large as asked for, to a few bytes. */
export function Content({ bytes, words = false }) {
  const size = Number(bytes);
  const rowBytes = ROW_BYTES[words ? "words" : "ascii"];
  const rows = Math.max(0, Math.floor((size - FRAME_BYTES) / rowBytes));
  // A text is in the page twice: as HTML, and in the payload beside it.
  const rest = Math.max(0, Math.floor((size - FRAME_BYTES - rows * rowBytes) / 2));
  return (
    <>
      <table>
        <tbody>
          {Array.from({ length: rows }, (_, index) => (
            <tr key={index}>
              <td>{String(index + 1).padStart(5, "0")}</td>
              <td>{words ? WORDS : ASCII}</td>
              <td>{Math.sqrt(index + 1).toFixed(6).padStart(10, "0")}</td>
            </tr>
          ))}
        </tbody>
      </table>
      <p>{"x".repeat(rest)}</p>
    </>
  );
}
