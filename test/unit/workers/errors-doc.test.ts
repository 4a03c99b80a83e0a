import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { type ErrorInfo, errorInfo, KAFKA_ERRORS, ZOO_ERRORS } from "../../../core/errors.ts";

const table = (errors: Readonly<Record<string, ErrorInfo>>): string =>
  [
    "| Code | Number | HTTP | Retryable | Meaning |",
    "|---|---|---|---|---|",
    ...Object.entries(errors).map(
      ([code, { number, status, retryable, title }]) =>
        `| \`${code}\` | ${number} | ${status} | ${retryable ? "yes" : "no"} | ${title} |`,
    ),
  ].join("\n");

const DOCUMENT = `# Error codes

An error's body is an RFC 9457 problem document (\`application/problem+json\`):

\`\`\`json
{
  "type": "https://zooweeper.dev/errors/BAD_VERSION",
  "title": "the version does not match",
  "status": 412,
  "detail": "/config is not at version 1",
  "instance": "/v1/znodes/config",
  "code": "BAD_VERSION",
  "number": -103,
  "retryable": false,
  "requestId": "0b8f7c0e-7c5c-4a3e-9f5b-2f6f6d7b0c11",
  "zxid": "0x100000007",
  "leader": 2
}
\`\`\`

- Programs should use \`code\`. \`number\` is ZooKeeper's or Kafka's if they have the error; other numbers are -2000 and below (ensemble), or 20,001 and above (broker).
- \`retryable\`: the same request may be sent again unchanged and may succeed. 503 and 429 then carry \`Retry-After\`. \`NODE_DOWN\` and \`BROKER_NOT_AVAILABLE\` are not retryable if the request names a node or broker that was killed: it stays dead until it is revived; \`detail\` tells how.
- \`CORRUPT_MESSAGE\` is 400 for a batch that a client sends, and 500 for records that are damaged in storage; \`offset\` and \`next_offset\` then name them.
- \`zxid\` (the last one applied at the answering node) and \`leader\` (the leader's sid) are present if they are known.
- \`requestId\` is \`X-Request-Id\`, the client's own or a generated one. It identifies the request in the logs.
- A failed multi adds \`at\`, the index of the operation that failed, and \`results\`.

Routes with Confluent's shape (\`/topics\`, \`/brokers\`, \`/consumers\`, \`/v3\`) answer \`{"error_code", "message", "kafka_code", "retriable"}\` instead.

**\`UNKNOWN_OUTCOME\`**: a write without a session lost its connection after it had been sent, so it may or may not have been applied. Read before you repeat it, or number your writes (\`Zoo-Session\` and \`Zoo-Xid\`): a numbered write can be repeated until it is answered, and is applied once.

## Ensemble

${table(ZOO_ERRORS)}

## Broker

${table(KAFKA_ERRORS)}
`;

/** Codes that the Pages Function and the port gateway spell by themselves, with what they say of them. */
function spelled(file: string): string[] {
  return [...readFileSync(file, "utf8").matchAll(/code: "([A-Z_]+)"/g)].map(([, code]) => code ?? "");
}

describe("docs/errors.md", () => {
  it("[HTTP-10] no two codes of one table have the same number: logs and clients may keep only the number", () => {
    for (const errors of [ZOO_ERRORS, KAFKA_ERRORS]) {
      const numbers = Object.values(errors).map(({ number }) => number);
      expect(new Set(numbers).size).toBe(numbers.length);
    }
  });

  it("[HTTP-44] has every code that is written outside the table, with the same status and number", () => {
    const page = "web/functions/_middleware.ts";
    const codes = [...spelled(page), ...spelled("scripts/local/gateway.ts")];
    expect(codes.length).toBeGreaterThan(5);
    for (const code of codes) expect(ZOO_ERRORS).toHaveProperty(code);
    const { status, number, title } = ZOO_ERRORS.BAD_ARGUMENTS;
    const text = readFileSync(page, "utf8");
    for (const part of [`title: "${title}"`, `status: ${status},`, `number: ${number},`])
      expect(text).toContain(part);
  });

  it("[HTTP-44] has no code or number twice", () => {
    const codes = [...Object.keys(ZOO_ERRORS), ...Object.keys(KAFKA_ERRORS)];
    expect(new Set(codes).size).toBe(codes.length);
    for (const errors of [ZOO_ERRORS, KAFKA_ERRORS]) {
      const numbers = Object.values(errors).map(({ number }) => number);
      expect(new Set(numbers).size).toBe(numbers.length);
    }
  });

  it("[HTTP-24] never describes a request both as not carried out and as possibly carried out", () => {
    for (const info of [...Object.values(ZOO_ERRORS), ...Object.values(KAFKA_ERRORS)])
      expect(info.retryElsewhere && info.unknownOutcome, info.title).toBe(false);
    expect(errorInfo("UNKNOWN_OUTCOME")?.unknownOutcome).toBe(true);
    expect(errorInfo("NO_QUORUM")?.retryElsewhere).toBe(true);
    expect(errorInfo("FENCED_LEADER_EPOCH")?.retryElsewhere).toBe(true);
  });

  it("[HTTP-24] treats a code of a later version as final", () => {
    expect(errorInfo("CODE_OF_TOMORROW")).toBeUndefined();
    expect(errorInfo("toString")).toBeUndefined();
  });

  it("[HTTP-10] is the table of codes; `vitest run --project unit test/unit/workers/errors-doc -u` renews it", async () => {
    await expect(DOCUMENT).toMatchFileSnapshot("../../../docs/errors.md");
  });
});
