// Compiled libraries of packages in a snapshot. Their data and Python's pointers to their functions are in the heap, but their code is
// not. So each is loaded again before the heap is restored, in the same order and at the same addresses, as the Workers runtime does.

/** Where Emscripten keeps a library's addresses, in the memory behind its handle (`struct dso` of its dynlink.c). */
const MEMORY_ADDRESS = 12;
const TABLE_ADDRESS = 20;

/**
 * Return the path, the handle and the addresses of each loaded library, in the order of loading; null where one needs another, whose
 * addresses are nowhere.
 */
export function loadedLibraries({ LDSO, HEAPU32 }) {
  const handles = new Map(Object.entries(LDSO.loadedLibsByHandle).map(([handle, { name }]) => [name, Number(handle)]));
  const names = Object.keys(LDSO.loadedLibsByName).filter((name) => name !== "__main__");
  if (names.some((name) => !handles.has(name))) return null;
  return names.map((path) => {
    const handle = handles.get(path);
    const word = (offset) => HEAPU32[(handle + offset) / 4];
    return { path, handle, memory: word(MEMORY_ADDRESS), table: word(TABLE_ADDRESS) };
  });
}

/** Load the libraries of a snapshot into a module whose heap is not restored yet. `read` returns the bytes of a file. */
export function loadLibraries(module, libraries, read) {
  const { wasmTable, LDSO } = module;
  // What Python's start puts into the table came first when the snapshot was made, and comes last now.
  const left = reach(wasmTable, libraries.find(({ table }) => table > 0)?.table);
  for (const { path, handle, memory, table } of libraries) {
    reach(wasmTable, table);
    module.placeOfMemory = memory;
    const library = Object.assign(module.newDSO(path, handle, "loading"), { global: false });
    library.exports = module.loadWebAssemblyModule(read(path), {}, path, {});
  }
  module.placeOfMemory = 0;
  module.freeTableIndexes.push(...left.reverse());
}

/** Make the table so long that the next entry is at `end`; return the entries that were skipped. */
function reach(table, end = 0) {
  if (end > 0 && table.length > end) throw new Error(`a library's functions were at ${end}, which is taken`);
  const first = table.length;
  if (end > first) table.grow(end - first);
  return Array.from({ length: table.length - first }, (_, index) => first + index);
}
