/**
 * The rules for trying another node, with nodes whose answers are given: real nodes cannot be made to fail in a
 * certain way at a certain moment.
 */
import { describe, expect, it } from "vitest";
import { NO_SESSION, type SessionId, type WriteRequest } from "../../../core/znode/types.ts";
import type { Answer, WriteInput } from "../../../durable-objects/zooweeper-node/rpc.ts";
import { EnsembleClient } from "../../../workers/api/clients/ensemble-client.ts";
import type { ApiEnv } from "../../../workers/api/env.ts";
import { ApiError } from "../../../workers/api/http/errors.ts";

type Step = Answer<never> | { readonly ok: true } | Error;

/** What a killed node says. */
const REFUSAL = new Error("NODE_DOWN: the node is killed");
/** What the runtime says of a call that was cut. */
const RESET = Object.assign(new Error("NODE_DOWN: the object was reset"), { durableObjectReset: true });
const LOST = new Error("Network connection lost.");
const OK = { ok: true } as const;
const no = (code: "NO_QUORUM" | "UNKNOWN_OUTCOME" | "BAD_VERSION"): Step => ({
  ok: false,
  code,
  message: code,
});

/** An ensemble whose nodes go through a list of answers, the last one for ever. */
function scripted(steps: Readonly<Record<number, readonly Step[]>>): {
  client: EnsembleClient;
  asked: number[];
} {
  const asked: number[] = [];
  const left = new Map(Object.entries(steps).map(([sid, list]) => [Number(sid), [...list]]));
  const answer = (sid: number): Promise<unknown> => {
    asked.push(sid);
    const list = left.get(sid) ?? [];
    const step = list.length > 1 ? list.shift() : list[0];
    if (step instanceof Error || step === undefined) return Promise.reject(step ?? LOST);
    return Promise.resolve(step.ok ? { ok: true, zxid: "0x1", value: { type: "delete" } } : step);
  };
  const namespace = {
    idFromName: (name: string) => name,
    get: (name: string) => {
      const call = (): Promise<unknown> => answer(Number(name.split("/")[1]));
      return { write: call, read: call, bootstrap: () => Promise.reject(LOST) };
    },
  };
  const env = { ZOOWEEPER_NODE: namespace } as unknown as ApiEnv;
  const name = `scripted-${crypto.randomUUID()}`;
  return { client: new EnsembleClient(env, name, Object.keys(steps).length), asked };
}

const request: WriteRequest = { type: "delete", path: "/x", version: -1 };
const ANONYMOUS: WriteInput = { session: NO_SESSION, xid: 0, request };
const NUMBERED: WriteInput = { session: 1 as SessionId, xid: 1, request };
const READ = {
  session: NO_SESSION,
  request: { type: "exists", path: "/x", watch: false },
  consistency: "local",
  stale: false,
} as const;

/** Code of the error that a call ends in. */
async function codeOf(call: Promise<unknown>): Promise<string> {
  try {
    await call;
    return "OK";
  } catch (error) {
    if (error instanceof ApiError) return error.code;
    throw error;
  }
}

describe("the ensemble's client", () => {
  it("[HTTP-24] goes to the next node if one is dead, for every request", async () => {
    for (const input of [ANONYMOUS, NUMBERED]) {
      const { client, asked } = scripted({ 1: [REFUSAL], 2: [OK], 3: [OK] });
      expect(await client.write(input)).toMatchObject({ node: 2 });
      expect(asked).toEqual([1, 2]);
    }
  });

  it("[HTTP-24] never repeats a write without session and xid that may have happened", async () => {
    for (const step of [RESET, LOST, no("UNKNOWN_OUTCOME")]) {
      const { client, asked } = scripted({ 1: [step], 2: [OK], 3: [OK] });
      expect(await codeOf(client.write(ANONYMOUS))).toBe("UNKNOWN_OUTCOME");
      expect(asked).toEqual([1]);
    }
  });

  it("[HTTP-24] repeats reads and numbered writes at the next node", async () => {
    for (const step of [RESET, LOST, no("UNKNOWN_OUTCOME")]) {
      const written = scripted({ 1: [step], 2: [OK], 3: [OK] });
      expect(await written.client.write(NUMBERED)).toMatchObject({ node: 2 });
      const read = scripted({ 1: [step], 2: [step], 3: [OK] });
      expect(await read.client.read(READ)).toMatchObject({ node: 3 });
    }
  });

  it("[HTTP-24] waits out an election", async () => {
    const election = [no("NO_QUORUM"), no("NO_QUORUM"), no("NO_QUORUM"), OK];
    const { client, asked } = scripted({ 1: [REFUSAL], 2: election, 3: election });
    expect(await client.write(ANONYMOUS)).toMatchObject({ node: 2 });
    expect(asked.length).toBeGreaterThanOrEqual(10);
  });

  it("[HTTP-24] gives up at once if so many are dead that no quorum is left", async () => {
    const { client, asked } = scripted({ 1: [REFUSAL], 2: [REFUSAL], 3: [no("NO_QUORUM")] });
    await expect(client.write(ANONYMOUS)).rejects.toMatchObject({
      code: "NO_QUORUM",
      message: "1 of 3 nodes is up, 2 are needed",
    });
    expect(asked).toEqual([1, 2, 3]);
    const all = scripted({ 1: [REFUSAL] });
    expect(await codeOf(all.client.read(READ))).toBe("NO_QUORUM");
  });

  it("[HTTP-24] never answers unknown to a read, since it can be repeated", async () => {
    const { client } = scripted({ 1: [LOST], 2: [REFUSAL], 3: [REFUSAL] });
    expect(await codeOf(client.read(READ))).toBe("NO_QUORUM");
  });

  it("[HTTP-24] answers unknown, not failed, if a numbered write may have happened", async () => {
    const { client } = scripted({ 1: [LOST], 2: [REFUSAL], 3: [REFUSAL] });
    expect(await codeOf(client.write(NUMBERED))).toBe("UNKNOWN_OUTCOME");
  });

  it("[HTTP-24] returns an answer of the tree without a request to another node", async () => {
    const { client, asked } = scripted({ 1: [no("BAD_VERSION")], 2: [OK], 3: [OK] });
    expect(await codeOf(client.write(ANONYMOUS))).toBe("BAD_VERSION");
    expect(asked).toEqual([1]);
  });

  it("[HTTP-24] stays at the requested node", async () => {
    const dead = scripted({ 1: [OK], 2: [REFUSAL], 3: [OK] });
    expect(await codeOf(dead.client.through(2).read(READ))).toBe("NODE_DOWN");
    expect(dead.asked).toEqual([2]);
    const slow = scripted({ 1: [OK], 2: [no("NO_QUORUM"), OK], 3: [OK] });
    expect(await slow.client.through(2).write(ANONYMOUS)).toMatchObject({ node: 2 });
    expect(slow.asked).toEqual([2, 2]);
  });
});
