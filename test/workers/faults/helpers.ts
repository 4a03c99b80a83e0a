/** Helpers that break an ensemble over HTTP, like a user. */
import { expect } from "vitest";
import type { FaultView } from "../../../durable-objects/shared/faults.ts";
import type { NodeStatus } from "../../../durable-objects/zooweeper-node/rpc.ts";
import type { EnsembleJson } from "../../../workers/api/schema/views.ts";
import { call, ensembleOf, isWhole, send, until } from "../api/helpers.ts";

export interface FaultsJson {
  readonly nodes: readonly {
    readonly sid: number;
    readonly up: boolean;
    readonly faults: readonly FaultView[];
  }[];
}

/** An ensemble of its own for one test. */
export class Victims {
  readonly prefix: string;
  readonly size: number;

  private constructor(name: string, size: number) {
    this.prefix = `/e/${name}`;
    this.size = size;
  }

  /** Founds it and waits until it serves. */
  static async found(name: string, size = 3): Promise<Victims> {
    const victims = new Victims(name, size);
    const response = await send("PUT", `/v1/ensembles/${name}`, { size });
    expect(response.status, await response.text()).toBe(201);
    await victims.whole();
    return victims;
  }

  view(): Promise<EnsembleJson> {
    return ensembleOf(this.prefix);
  }

  /** Waits until all serve under one leader with the same digest at the same zxid. */
  whole(): Promise<EnsembleJson> {
    return this.until((view) => {
      const nodes = view.nodes.filter((node) => node.up);
      return isWhole(view) && new Set(nodes.map((node) => `${node.appliedZxid} ${node.digest}`)).size === 1;
    });
  }

  /** Looks until it holds. One that fell asleep over it is woken: asleep nobody notices anything. */
  until(holds: (view: EnsembleJson) => boolean): Promise<EnsembleJson> {
    const look = async (): Promise<EnsembleJson> => {
      const view = await this.view();
      if (!view.quiet) return view;
      await call(`${this.prefix}/v1/znodes/?view=stat`);
      return this.view();
    };
    return until(look, holds);
  }

  async leader(): Promise<number> {
    return (await this.until(({ leader }) => leader !== null)).leader ?? 0;
  }

  async follower(): Promise<number> {
    return ((await this.leader()) % this.size) + 1;
  }

  /** What a node says of itself; undefined while it does not. */
  async status(sid: number): Promise<NodeStatus | undefined> {
    const node = (await this.view()).nodes.find((each) => each.sid === sid);
    return node?.up === true ? node : undefined;
  }

  async fault(sid: number | "all", fault: string, body?: unknown): Promise<void> {
    const path = `${this.prefix}/v1/faults/nodes/${sid}/${fault}`;
    const response =
      body === undefined ? await call(path, { method: "POST" }) : await send("POST", path, body);
    expect(response.status, await response.text()).toBe(200);
  }

  async end(sid: number | "all", fault: string): Promise<void> {
    const response = await call(`${this.prefix}/v1/faults/nodes/${sid}/${fault}`, { method: "DELETE" });
    expect(response.status, await response.text()).toBe(200);
  }

  async faults(sid: number): Promise<readonly FaultView[]> {
    const { nodes } = await (await call(`${this.prefix}/v1/faults`)).json<FaultsJson>();
    return nodes.find((node) => node.sid === sid)?.faults ?? [];
  }

  async heal(): Promise<EnsembleJson> {
    const response = await call(`${this.prefix}/v1/faults/heal`, { method: "POST" });
    expect(response.status, await response.text()).toBe(200);
    return this.whole();
  }

  /** Creates a znode, again until it is acknowledged. */
  async write(path: string): Promise<void> {
    const ask = () => call(`${this.prefix}/v1/znodes${path}`, { method: "POST", body: "x" });
    await until(ask, ({ status }) => status === 201 || status === 409);
  }

  /** Children of the root, as one node has them after it has caught up. */
  async children(sid: number): Promise<readonly string[]> {
    const path = `${this.prefix}/v1/znodes/?view=children&consistency=linearizable&node=${sid}`;
    const response = await until(
      () => call(path),
      ({ status }) => status === 200,
    );
    return (await response.json<{ children: string[] }>()).children;
  }
}
