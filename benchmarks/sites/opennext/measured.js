// What Next.js writes for the page without a row, and for each row, in bytes.
export const FRAME_BYTES = 5666;
export const ROW_BYTES = { ascii: 333.7, words: 363.5 };
