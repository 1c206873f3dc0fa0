// Many files in one buffer: the length of the index, the index as JSON (each name and size), and the bytes in that order.

const LENGTH_BYTES = 4;

/** Return a buffer of the files, which are pairs of a name and bytes. */
export function pack(files) {
  const index = new TextEncoder().encode(JSON.stringify(files.map(([name, bytes]) => [name, bytes.length])));
  const length = new Uint8Array(new Uint32Array([index.length]).buffer);
  const parts = [length, index, ...files.map(([, bytes]) => bytes)];
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let end = 0;
  for (const part of parts) {
    all.set(part, end);
    end += part.length;
  }
  return all;
}

/** Return the files of a pack as a Map. Their bytes are where they are in the buffer. Nothing is a pack of nothing. */
export function unpack(buffer) {
  if (buffer.byteLength === 0) return new Map();
  const [length] = new Uint32Array(buffer.slice(0, LENGTH_BYTES));
  let end = LENGTH_BYTES + length;
  const files = new Map();
  for (const [name, size] of JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, LENGTH_BYTES, length)))) {
    files.set(name, new Uint8Array(buffer, end, size));
    end += size;
  }
  return files;
}

const BLOCK_BYTES = 64 * 1024;

/** Return a pack of a heap, half of which is zeros: the other blocks, named by where they begin, and the last one, which tells the end. */
export function packHeap(heap) {
  const blocks = [];
  for (let start = 0; start < heap.length; start += BLOCK_BYTES) {
    const block = heap.subarray(start, start + BLOCK_BYTES);
    if (start + BLOCK_BYTES >= heap.length || block.some((byte) => byte !== 0)) blocks.push([start, block]);
  }
  return pack(blocks);
}

/** Return the heap of a pack. */
export function unpackHeap(buffer) {
  const blocks = [...unpack(buffer)];
  const [lastStart, last] = blocks.at(-1);
  const heap = new Uint8Array(lastStart + last.length);
  for (const [start, block] of blocks) heap.set(block, start);
  return heap.buffer;
}
