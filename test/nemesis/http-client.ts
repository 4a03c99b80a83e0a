/**
 * A client that writes over HTTP, through any member. With a session it numbers its writes and repeats each under its
 * number until the outcome is known. Without a session each write is sent once, as by `curl`.
 */
import { setTimeout as wait } from "node:timers/promises";
import type { ZooErrorCode } from "../../core/errors.ts";
import { sessionFromText } from "../../core/znode/types.ts";
import {
  type ChangeRequest,
  type ChangeResult,
  isRead,
  type Outcome,
  outcomeOf,
  type Result,
  type WriteRequest,
} from "../../sim/history/history.ts";
import type { ClientOptions } from "./client.ts";
import { readLinearizable, type StatJson, statOf, zxidOf } from "./linearizable.ts";

const THINK_MS = { least: 5, most: 60 };
const PATIENCE_MS = { least: 400, most: 8_000 };
const SESSION_MS = 6_000;

interface Answer {
  readonly ok: boolean;
  readonly zxid: number | null;
  readonly body: Readonly<Record<string, unknown>>;
}

/** A result in a multi's answer. */
type ResultJson =
  | { readonly op: "create"; readonly path: string; readonly stat: StatJson | null }
  | { readonly op: "set"; readonly stat: StatJson }
  | { readonly op: "delete" | "check" }
  | { readonly error: ZooErrorCode };

export class HttpClient {
  readonly #options: ClientOptions;
  readonly #hasSession: boolean;
  /** `0x…` */
  #session = "";
  #xid = 0;
  #ended = false;

  constructor(options: ClientOptions, hasSession: boolean) {
    this.#options = options;
    this.#hasSession = hasSession;
  }

  /** Asks until `done()`, then closes its session. */
  async run(done: () => boolean): Promise<void> {
    const { workload, id, chance, calm } = this.#options;
    while (!this.#ended && !done()) {
      if (calm.isOn) {
        await wait(THINK_MS.most);
        continue;
      }
      const { request } = workload.next(id, this.#hasSession);
      if (isRead(request)) await this.#read(request);
      else if (!this.#hasSession) await this.#writeOnce(request as WriteRequest);
      else if (request.type !== "sync") await this.#write(shown(request as WriteRequest));
      await wait(chance.between(THINK_MS.least, THINK_MS.most));
    }
    if (this.#session !== "") await this.#close();
  }

  end(): void {
    this.#ended = true;
  }

  async #read(request: Parameters<typeof readLinearizable>[2]): Promise<void> {
    const { id: client, recorder, members, chance, workload } = this.#options;
    const asked = { ...request, watch: false };
    const member = chance.oneOf(members.sids);
    const op = recorder.invoke({ client, member, linearizable: true, request: asked });
    const outcome = await readLinearizable(members.api, member, asked, this.#patienceMs);
    if (outcome === null) return;
    recorder.returned(op, outcome);
    workload.learned(asked, outcome);
  }

  /** Without a number nobody could tell one deletion or sync from another. */
  async #writeOnce(asked: WriteRequest): Promise<void> {
    const { id: client, recorder, workload, progress } = this.#options;
    if (asked.type === "sync" || asked.type === "delete") return;
    const request = shown(asked);
    const op = recorder.invoke({ client, session: 0, xid: 0, request });
    const [method, path, body] = httpOf(request);
    const answer = await this.#ask(method, path, {}, body);
    if (answer === null) return;
    const outcome = outcomeOfAnswer(request, answer);
    if (outcome.type === "unknown") return;
    recorder.returned(op, outcome);
    workload.learned(request, outcome);
    if (outcome.type === "done" && outcome.result.type !== "error") progress.acknowledged();
  }

  async #write(request: WriteRequest): Promise<void> {
    const { faults, id, chance, workload, progress } = this.#options;
    if (this.#session === "" && !(await this.#open())) return;
    this.#xid += 1;
    while (!this.#ended) {
      const outcome = await this.#attempt(request, this.#xid);
      if (outcome.type === "done") {
        workload.learned(request, outcome);
        if (isExpired(outcome)) this.#expired();
        else if (outcome.result.type !== "error") progress.acknowledged();
        return;
      }
      if (outcome.code === "XID_TOO_OLD")
        faults.push(`[session] client ${id} ${this.#session}: the result of its last write is forgotten`);
      await wait(chance.between(THINK_MS.least, THINK_MS.most));
    }
  }

  async #attempt(request: WriteRequest, xid: number): Promise<Outcome> {
    const { id: client, recorder } = this.#options;
    const session = sessionFromText(this.#session) ?? 0;
    const op = recorder.invoke({ client, session, xid, request });
    const [method, path, body] = httpOf(request);
    const answer = await this.#ask(
      method,
      path,
      { "zoo-xid": String(xid), "zoo-session": this.#session },
      body,
    );
    if (answer === null) return op.outcome;
    const outcome = outcomeOfAnswer(request, answer);
    if (outcome.type !== "unknown") recorder.returned(op, outcome);
    return outcome;
  }

  async #open(): Promise<boolean> {
    const answer = await this.#ask("POST", "/v1/sessions", {}, JSON.stringify({ timeoutMs: SESSION_MS }));
    if (answer === null || !answer.ok) return false;
    this.#session = String(answer.body.session);
    this.#xid = 0;
    return true;
  }

  /**
   * Once: a session that is not closed expires. It is no operation of the history: it has no number by which it could be told
   * from an expiry that came before it.
   */
  async #close(): Promise<void> {
    const answer = await this.#ask("DELETE", `/v1/sessions/${this.#session}`, {});
    if (answer?.ok === true || answer?.body.code === "SESSION_EXPIRED") this.#expired();
  }

  #expired(): void {
    const session = sessionFromText(this.#session) ?? 0;
    this.#options.recorder.session({ type: "expired", session, conn: 0, member: 0 });
    this.#session = "";
  }

  get #patienceMs(): number {
    return this.#options.chance.between(PATIENCE_MS.least, PATIENCE_MS.most);
  }

  /** @returns null: no answer in time */
  async #ask(
    method: string,
    path: string,
    headers: Record<string, string>,
    body?: string,
  ): Promise<Answer | null> {
    const json = body?.startsWith("{") === true ? { "content-type": "application/json" } : {};
    try {
      const response = await fetch(`${this.#options.members.api}${path}`, {
        method,
        headers: { ...headers, ...json },
        ...(body !== undefined && { body }),
        signal: AbortSignal.timeout(this.#patienceMs),
      });
      const text = await response.text();
      const answer = text === "" ? {} : (JSON.parse(text) as Record<string, unknown>);
      return { ok: response.ok, zxid: zxidOf(response.headers.get("zoo-zxid")), body: answer };
    } catch {
      return null;
    }
  }
}

const isExpired = ({ result }: Extract<Outcome, { type: "done" }>): boolean =>
  result.type === "error" && result.code === "SESSION_EXPIRED";

/** HTTP answers a create with the Stat; a version goes with a multi, since an entity tag says more than a version. */
function shown(request: WriteRequest): WriteRequest {
  if (request.type === "multi") return { type: "multi", ops: request.ops.map(withStat) };
  const change = withStat(request as ChangeRequest);
  const conditional = "version" in change && change.version !== -1;
  return conditional ? { type: "multi", ops: [change] } : (change as WriteRequest);
}

const withStat = (change: ChangeRequest): ChangeRequest =>
  change.type === "create" ? { ...change, withStat: true } : change;

const MODES = ["persistent", "ephemeral", "persistent-sequential", "ephemeral-sequential"];

function httpOf(request: WriteRequest): readonly [method: string, path: string, body?: string] {
  switch (request.type) {
    case "create":
      return ["POST", `/v1/znodes${request.path}?mode=${MODES[request.mode]}`, request.data ?? ""];
    case "setData":
      return ["PUT", `/v1/znodes${request.path}`, request.data ?? ""];
    case "delete":
      return ["DELETE", `/v1/znodes${request.path}`];
    case "multi":
      return ["POST", "/v1/multi", JSON.stringify({ ops: request.ops.map(opJson) })];
    default:
      throw new Error(`nobody writes ${request.type} over HTTP`);
  }
}

function opJson(op: ChangeRequest): object {
  switch (op.type) {
    case "create":
      return { op: "create", path: op.path, text: op.data ?? "", mode: MODES[op.mode] };
    case "setData":
      return { op: "set", path: op.path, text: op.data ?? "", version: op.version };
    default:
      return {
        op: op.type,
        path: "path" in op ? op.path : "",
        ...("version" in op && { version: op.version }),
      };
  }
}

function outcomeOfAnswer(request: WriteRequest, { ok, zxid, body }: Answer): Outcome {
  const results = body.results as readonly ResultJson[] | undefined;
  if (results !== undefined) {
    const at = zxid ?? zxidOf(body.zxid as string | undefined);
    return { type: "done", zxid: at, result: { type: "multi", results: results.map(resultOf) } };
  }
  if (ok) return { type: "done", zxid, result: resultOfChange(request, body) };
  const outcome = outcomeOf({ ok: false, zxid: null, code: body.code as ZooErrorCode });
  return outcome.type === "done" ? { ...outcome, zxid: zxidOf(body.zxid as string | undefined) } : outcome;
}

function resultOfChange({ type }: WriteRequest, body: Answer["body"]): Result {
  switch (type) {
    case "create":
      return { type, path: String(body.path), stat: statOf(body.stat as StatJson) };
    case "setData":
      return { type, stat: statOf(body.stat as StatJson) };
    default:
      return { type: "delete" };
  }
}

function resultOf(result: ResultJson): ChangeResult {
  if ("error" in result) return { type: "error", code: result.error };
  switch (result.op) {
    case "create":
      // Multis do not tell the Stat of what they create: the log does not keep that it was asked for.
      return { type: "create", path: result.path, stat: result.stat === null ? null : statOf(result.stat) };
    case "set":
      return { type: "setData", stat: statOf(result.stat) };
    default:
      return { type: result.op };
  }
}
