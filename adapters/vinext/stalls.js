/** Bodies that begin and never go on. */

/** A body on its way, which knows when its last part came. */
export class WatchedBody {
  #controller;
  #movedAt = 0;
  #size = 0;

  /** @param {ReadableStream<Uint8Array>} body */
  constructor(body) {
    const parts = new TransformStream({
      start: (controller) => {
        this.#controller = controller;
      },
      transform: (part, controller) => {
        this.#movedAt = Date.now();
        this.#size += part.byteLength;
        controller.enqueue(part);
      },
    });
    this.stream = body.pipeThrough(parts);
  }

  /**
   * Wait for what reads the body. If for `idleMs` nothing comes, it fails, and the body ends with an error; 0 is no limit.
   *
   * @template T
   * @param {Promise<T>} work
   * @param {number} idleMs
   * @returns {Promise<T>}
   */
  async limit(work, idleMs) {
    if (!idleMs) return await work;
    const began = Date.now();
    let timer;
    const stalled = new Promise((_, reject) => {
      const look = () => {
        const left = Math.max(began, this.#movedAt) + idleMs - Date.now();
        if (left > 0) {
          timer = setTimeout(look, left);
          return;
        }
        const error = new Error(`the body stalled after ${this.#size} bytes: nothing came for ${idleMs} ms`);
        this.#controller.error(error);
        reject(error);
      };
      look();
    });
    try {
      return await Promise.race([work, stalled]);
    } finally {
      clearTimeout(timer);
    }
  }
}
