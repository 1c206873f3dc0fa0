// What this version of vinext writes for the page without a row, and for each row, in bytes.
export const FRAME_BYTES = 1247;
export const ROW_BYTES = { ascii: 342.24, words: 372.24 };
