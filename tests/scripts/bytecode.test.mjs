// The kept bytecode; test_bytecode.py runs this file with Node's own test runner.
import assert from "node:assert/strict";
import { test } from "node:test";

import { Bytecode } from "../../scripts/vinext_worker/local_runtime/bytecode.mjs";
import { pack, unpack } from "../../scripts/vinext_worker/local_runtime/packs.mjs";

/** A file in memory. */
function memory(contents) {
  const file = { contents, read: async () => file.contents, write: async (written) => (file.contents = written) };
  return file;
}

const of = (file, source, path = "a.py") => new Bytecode(file, [[path, Buffer.from(source)], ["a.txt", Buffer.from("text")]]);
const kept = async (bytecode) => [...unpack((await bytecode.read()).buffer)].map(([path, bytes]) => [path, bytes[0]]);
const add = async (bytecode, first, size = 1) => await bytecode.add(pack([["a.py", new Uint8Array(size).fill(first)]]).buffer);

test("the bytecode is of a path and a source", async () => {
  const file = memory(pack([]));
  await add(of(file, "one"), 1);
  await add(of(file, "two"), 2);
  assert.deepEqual(await kept(of(file, "one")), [["a.py", 1]]);
  assert.deepEqual(await kept(of(file, "two")), [["a.py", 2]]);
  assert.deepEqual(await kept(of(file, "one", "b.py")), []);
});

test("what is new stays, and what there is no room for goes", async () => {
  const file = memory(pack([]));
  const size = 20 * 1024 * 1024;
  await add(of(file, "one"), 1, size);
  await add(of(file, "two"), 2, size);
  assert.deepEqual(await kept(of(file, "one")), []);
  assert.deepEqual(await kept(of(file, "two")), [["a.py", 2]]);
});

test("a file that is cut off or no pack is as none", async () => {
  const file = memory(pack([]));
  await add(of(file, "one"), 1, 100);
  for (const contents of [file.contents.slice(0, 120), file.contents.slice(0, 2), Buffer.from("no pack at all")]) {
    assert.deepEqual(await kept(of(memory(contents), "one")), []);
  }
});
