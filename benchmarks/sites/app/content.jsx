import { FRAME_BYTES, ROW_BYTES } from "./measured.js";

const TEXT_LENGTH = 48;
const CONSONANTS = "bcdfghjklmnpqrstvwxz";
const VOWELS = "aeiou";
const WORDS = "Zeile wie in Listen: größer, naïve, 東京, λόγος, 🙂";

/** A text for each number, always of the same length: compressed it is about as large as English is. */
function text(number) {
  let state = number;
  let made = "";
  while (made.length < TEXT_LENGTH) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    const drawn = state >>> 16;
    made += CONSONANTS[drawn % 20] + VOWELS[(drawn >>> 5) % 5] + (drawn % 3 ? "" : " ");
  }
  return made.slice(0, TEXT_LENGTH);
}

/** A table that makes the page's HTML as large as asked for, to a few bytes. Pages of another `seed` have other texts. */
export function Content({ bytes, seed = bytes, words = false }) {
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
              <td>{words ? WORDS : text(Number(seed) * 7919 + index)}</td>
              <td>{Math.sqrt(index + 1).toFixed(6).padStart(10, "0")}</td>
            </tr>
          ))}
        </tbody>
      </table>
      <p>{"x".repeat(rest)}</p>
    </>
  );
}
