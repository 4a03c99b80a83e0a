/** Goals of the demo, and the producer that posts them. */
import { setTimeout as wait } from "node:timers/promises";

/** A goal as `GET /data` lists it. */
export interface Goal {
  readonly Minute: number;
  readonly Player: string;
  readonly Club: string;
  readonly Score: string;
}

/** How a goal is posted. */
export interface SendOptions {
  /** one per goal: a goal that is posted again under its key is stored once */
  readonly key: string;
  /** ports of the brokers that list the goal */
  readonly clients: string;
  /** port of the node that gets the metadata */
  readonly receiver: string;
  /** how long to retry under the same key while the answer is not a success, ms */
  readonly retryMs?: number;
}

/** The answer to a posted goal. */
export interface GoalAnswer {
  /** 0: no answer came */
  readonly status: number;
  readonly text: string;
  /** the node that took the metadata, if it is not the requested one */
  readonly receiver: string | undefined;
}

const PLAYERS = [
  ["Messi", "FCB"],
  ["Ronaldo", "RMA"],
  ["Mbappé", "PSG"],
  ["Haaland", "MCI"],
  ["Salah", "LFC"],
  ["Kane", "BAY"],
  ["Putellas", "FCB"],
] as const;
const MATCH_MINUTES = 90;
/** A prime, so that consecutive goals have distant minutes and every minute occurs. */
const MINUTE_STEP = 37;
const RETRY_PAUSE_MS = 50;

/** Goal number `i`, always the same one. Minutes are out of order, as in late reports. */
export function goalOf(i: number): Goal {
  const [Player, Club] = PLAYERS[i % PLAYERS.length] ?? PLAYERS[0];
  return {
    Minute: ((i * MINUTE_STEP) % MATCH_MINUTES) + 1,
    Player,
    Club,
    Score: `${(i + 2) >> 1}-${(i + 1) >> 1}`,
  };
}

/** Posts one goal. Never throws: no answer is status 0. */
export async function sendGoal(base: string, goal: Goal, options: SendOptions): Promise<GoalAnswer> {
  const deadline = performance.now() + (options.retryMs ?? 0);
  const request = {
    method: "POST",
    headers: { "content-type": "application/json", "idempotency-key": options.key },
    body: JSON.stringify({
      metadata: { ReceiverIp: options.receiver, Clients: options.clients },
      gameResults: goal,
    }),
  };
  for (;;) {
    const answer = await post(`${base}/addScore`, request);
    if (answer.status === 200 || (answer.status >= 400 && answer.status < 500 && answer.status !== 429))
      return answer;
    if (performance.now() > deadline) return answer;
    await wait(RETRY_PAUSE_MS);
  }
}

async function post(url: string, request: RequestInit): Promise<GoalAnswer> {
  try {
    const response = await fetch(url, request);
    const text = (await response.text()).trim();
    const receiver = response.headers.get("zoo-receiver") ?? undefined;
    return {
      status: response.status,
      text: response.ok ? text : `${response.status} ${reasonOf(text)}`,
      receiver,
    };
  } catch (error) {
    const { message, cause } = error as Error & { cause?: Error & { code?: string } };
    return { status: 0, text: `no answer: ${cause?.code ?? message}`, receiver: undefined };
  }
}

/** The text of a problem+json answer as one line; any other answer unchanged. */
function reasonOf(text: string): string {
  try {
    const { code, detail } = JSON.parse(text) as { code?: string; detail?: string };
    return code === undefined ? text : `${code}: ${detail}`;
  } catch {
    return text;
  }
}
