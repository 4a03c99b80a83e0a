// Costs of the platform without a protocol: objects that call each other and write one row.
import { DurableObject } from "cloudflare:workers";

const DATA = new Uint8Array(150);

export class Floor extends DurableObject {
  #insert() {
    this.ctx.storage.sql.exec("INSERT INTO log (data) VALUES (?)", DATA);
  }

  constructor(ctx, env) {
    super(ctx, env);
    ctx.storage.sql.exec("CREATE TABLE IF NOT EXISTS log (id INTEGER PRIMARY KEY, data BLOB)");
  }

  nothing() {
    return 0;
  }

  /** The platform holds the answer until the row is durable. */
  append() {
    this.#insert();
    return 0;
  }

  #peer(name) {
    return this.env.FLOOR.get(this.env.FLOOR.idFromName(name));
  }

  async calls(count) {
    const peer = this.#peer("1");
    const start = Date.now();
    for (let i = 0; i < count; i++) await peer.nothing();
    return (Date.now() - start) / count;
  }

  /** Writes a row here and on the peers, on the peers first: the minimum that a replicated write can cost. */
  async commits(count, nodes) {
    const peers = Array.from({ length: nodes - 1 }, (_, i) => this.#peer(String(i + 1)));
    const start = Date.now();
    for (let i = 0; i < count; i++) {
      const acks = peers.map((peer) => peer.append());
      this.#insert();
      await Promise.all([this.ctx.storage.sync(), ...acks]);
    }
    return (Date.now() - start) / count;
  }
}

export default {
  async fetch(request, env) {
    const url = new URL(request.url);
    const count = Number(url.searchParams.get("count"));
    const nodes = Number(url.searchParams.get("nodes"));
    const leader = env.FLOOR.get(env.FLOOR.idFromName("0"));
    return Response.json(
      url.pathname === "/calls" ? await leader.calls(count) : await leader.commits(count, nodes),
    );
  },
};
