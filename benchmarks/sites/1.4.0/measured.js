// What this version of vinext writes for the page without a row, and for each row, in bytes.
export const FRAME_BYTES = 8331;
export const ROW_BYTES = { ascii: 337.53, words: 367.53 };
