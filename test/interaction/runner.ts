/**
 * Golden traces: a scenario is a text of commands, each followed by its output. The runner executes the commands on a
 * deterministic {@link Cluster} and replaces the output.
 *
 *   command name=value …
 *   ----
 *   output
 *
 * A line that begins with # is a comment.
 * @source etcd-io/raft rafttest, testdata
 */
import { must } from "../../core/assert.ts";
import type { TraceEvent } from "../../core/zab/effects.ts";
import { Cluster } from "../../sim/cluster.ts";
import { zxidAt as at, textOf } from "../../sim/text.ts";
import { codeOf, create, digests } from "../sim/world.ts";

/** What a member did, in one line; undefined for what is seen by the messages already. */
function textOfEvent(event: TraceEvent): string | undefined {
  switch (event.type) {
    case "role":
      return `is ${event.role}, ${event.phase}${event.leader === null ? "" : `, leader ${event.leader}`}`;
    case "epoch":
      return event.kind === "accepted" ? `promises e${event.epoch}` : `enters e${event.epoch}`;
    case "propose":
      return `proposes ${event.count} txns to ${at(event.zxid)}`;
    case "commit":
      return `commits ${at(event.zxid)}`;
    case "active":
      return `active set ${event.sids.join(" ")}`;
    default:
      return undefined;
  }
}

interface Block {
  readonly remarks: string;
  readonly command: string;
  readonly expected: string;
}

/** Splits a scenario into its commands. */
export function parseScenario(text: string): Block[] {
  return text
    .split(/\n\n+(?=[a-z#])/)
    .map((part) => part.trim())
    .filter((part) => part !== "")
    .map((part) => {
      const lines = part.split("\n");
      const remarks = lines.filter((line) => line.startsWith("#"));
      const rest = lines.filter((line) => !line.startsWith("#"));
      const line = rest.indexOf("----");
      return {
        remarks: remarks.join("\n"),
        command: (line < 0 ? rest : rest.slice(0, line)).join("\n").trim(),
        expected: line < 0 ? "" : rest.slice(line + 1).join("\n"),
      };
    });
}

/** Carries a scenario out. @returns the same text with what really came of every command */
export function runScenario(text: string): string {
  const world = new World();
  const blocks = parseScenario(text).map(({ remarks, command }) => {
    const output = command === "" ? "" : world.run(command);
    const body = command === "" ? "" : `${command}\n----\n${output}`;
    return [remarks, body].filter((part) => part !== "").join("\n");
  });
  return `${blocks.join("\n\n")}\n`;
}

class World {
  #cluster: Cluster | null = null;
  #lines: string[] = [];
  #traced = 0;
  #began = 0;

  run(command: string): string {
    const [name = "", ...words] = command.split(" ");
    const named = new Map(words.map((word) => word.split("=", 2) as [string, string]));
    const number = (key: string, otherwise?: number): number => {
      const value = named.get(key);
      return Number(must(value ?? otherwise?.toString(), `${name} needs ${key}`));
    };
    this.#lines = [];
    if (name === "cluster") this.#make(number("size"), named);
    else this.#act(name, named, number);
    this.#traceNew();
    return this.#lines.length === 0 ? "ok" : this.#lines.join("\n");
  }

  get cluster(): Cluster {
    return must(this.#cluster, "a scenario begins with: cluster size=…");
  }

  #make(size: number, named: ReadonlyMap<string, string>): void {
    // COMMITs at once, unless a scenario is about that: a status then shows them
    const config: Record<string, number> = { idlePatienceMs: 0, watchPatienceMs: 0 };
    for (const [key, value] of named) if (key !== "size") config[key] = Number(value);
    this.#cluster = new Cluster({ size, seed: 1, latencyMs: [1, 1], fsyncMs: [0, 0], config });
    this.#began = this.cluster.now;
    this.cluster.onMessage = (from, to, message, isReturn) => {
      if (message.type === "PING" || message.type === "PONG") return;
      this.#traceNew();
      this.#say(
        isReturn
          ? `${from} ⇠ ${to}  ${textOf(message)}`.replace(/^(\d) ⇠ (\d)/, "$2 ⇠ $1")
          : `${from} → ${to}  ${textOf(message)}`,
      );
    };
  }

  #act(
    name: string,
    named: ReadonlyMap<string, string>,
    number: (key: string, otherwise?: number) => number,
  ): void {
    const { cluster } = this;
    switch (name) {
      case "start":
        if (named.has("sid")) cluster.start(number("sid"));
        else cluster.startAll();
        return;
      case "settle":
        cluster.settle();
        return;
      case "run":
        cluster.runFor(number("ms"));
        return;
      case "crash":
        cluster.crash(number("sid"), number("keep", 0));
        return;
      case "wipe":
        cluster.disks.wipe(number("sid"));
        return;
      case "isolate":
        cluster.isolate(number("sid"));
        return;
      case "cut":
        cluster.cut(number("from"), number("to"));
        return;
      case "heal":
        cluster.heal();
        return;
      case "write": {
        const requests = must(named.get("paths"), "write needs paths").split(",");
        const tokens = cluster.writes(
          number("sid"),
          requests.map((path) => ({ request: create(path) })),
        );
        if (named.get("wait") === "no") return;
        for (const [i, answer] of cluster.answered(tokens).entries()) {
          this.#traceNew();
          this.#say(`${requests[i]}: ${codeOf(answer)}${answer.ok ? ` at ${at(answer.zxid)}` : ""}`);
        }
        return;
      }
      case "status":
        for (const line of cluster.describe().split(" | ")) this.#lines.push(line);
        this.#lines.push(new Set(digests(cluster)).size === 1 ? "all equal" : "not equal");
        return;
      default:
        throw new Error(`there is no command ${name}`);
    }
  }

  #say(line: string): void {
    this.#lines.push(`${String(this.cluster.now - this.#began).padStart(5)}  ${line}`);
  }

  /** Tells what members did since the last line. */
  #traceNew(): void {
    const { trace } = this.cluster;
    for (; this.#traced < trace.length; this.#traced++) {
      const { at: when, sid, event } = must(trace[this.#traced], "inside of the trace");
      const text = textOfEvent(event);
      if (text !== undefined) this.#lines.push(`${String(when - this.#began).padStart(5)}  ${sid} ${text}`);
    }
  }
}
