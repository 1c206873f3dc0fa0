// The address that visitors know. It stays where it is while one runtime takes the place of another behind it: connections wait then,
// and none is refused. It passes bytes on, so that nothing of a request or an answer is changed.

import { connect, createServer } from "node:net";

/** How long the change waits for answers that are being made, and for those that have begun, which may have no end. */
const MAKING_MILLISECONDS = 10_000;
const SENDING_MILLISECONDS = 2000;

/** An answer of which nothing has come for so long is over. */
const QUIET_MILLISECONDS = 100;

export class Door {
  #connections = new Set();
  #target = Promise.withResolvers();
  #server = createServer({ allowHalfOpen: true, pauseOnConnect: true }, (visitor) => {
    visitor.on("error", () => visitor.destroy());
    this.#lead(visitor);
  });

  /** Take the address; a port of 0 is any free one. Connections wait until `leadTo`. */
  static async open({ host, port }) {
    const door = new Door();
    await new Promise((resolve, reject) => door.#server.once("error", reject).listen(port, host, resolve));
    return door;
  }

  get url() {
    const { address, family, port } = this.#server.address();
    return `http://${family === "IPv6" ? `[${address}]` : address}:${port}`;
  }

  /** Let connections through to a runtime, those that wait too. */
  leadTo(url) {
    this.#target.resolve(new URL(url));
  }

  /** Let further connections wait, and those that have asked nothing yet. End the others once their answers are complete, or time is up. */
  async hold() {
    this.#target = Promise.withResolvers();
    const since = Date.now();
    while ([...this.#connections].some((one) => isBusy(one, since))) await new Promise((resolve) => setTimeout(resolve, 20));
    for (const connection of this.#connections) {
      if (connection.hasAsked) connection.visitor.destroy();
      else this.#leadAgain(connection);
    }
  }

  #leadAgain(connection) {
    const { visitor, runtime } = connection;
    this.#connections.delete(connection);
    visitor.pause().unpipe(runtime);
    runtime.unpipe(visitor);
    for (const event of ["data", "close"]) visitor.removeAllListeners(event);
    for (const event of ["close", "error"]) runtime.removeAllListeners(event);
    runtime.on("error", () => {}).destroy();
    this.#lead(visitor);
  }

  async #lead(visitor) {
    const { hostname, port } = await this.#target.promise;
    if (visitor.destroyed) return;
    const runtime = connect({ host: hostname, port, allowHalfOpen: true });
    const connection = { visitor, runtime, hasAsked: false, isWaiting: false, answeredAt: 0 };
    this.#connections.add(connection);
    runtime.on("error", () => visitor.destroy());
    for (const socket of [visitor, runtime]) {
      socket.on("close", () => {
        this.#connections.delete(connection);
        (socket === visitor ? runtime : visitor).destroy();
      });
    }
    visitor.on("data", () => Object.assign(connection, { hasAsked: true, isWaiting: true }));
    runtime.on("data", () => Object.assign(connection, { isWaiting: false, answeredAt: Date.now() }));
    visitor.pipe(runtime).pipe(visitor);
  }
}

function isBusy({ isWaiting, answeredAt }, since) {
  const now = Date.now();
  if (isWaiting) return now - since < MAKING_MILLISECONDS;
  return now - answeredAt < QUIET_MILLISECONDS && now - since < SENDING_MILLISECONDS;
}
