/**
 * Runs Postman collections (format v2.1) without Postman: requests in order, variables, and the part of the `pm`
 * scripting object that the collections use. A script that needs more fails with the name of the missing part.
 */
import { deepStrictEqual } from "node:assert";
import { runInNewContext } from "node:vm";

/** The part of a collection that is used. */
export interface Collection {
  readonly info: { readonly name: string };
  readonly item: readonly Item[];
  readonly variable?: readonly { readonly key: string; readonly value: string }[];
}

/** A folder has items, a request has a request. */
interface Item {
  readonly name: string;
  readonly item?: readonly Item[];
  readonly request?: RequestDefinition;
  readonly event?: readonly {
    readonly listen: string;
    readonly script: { readonly exec: readonly string[] };
  }[];
}

interface RequestDefinition {
  readonly method: string;
  readonly header?: readonly { readonly key: string; readonly value: string; readonly disabled?: boolean }[];
  readonly body?: { readonly mode: string; readonly raw?: string };
  readonly url: string | { readonly raw: string };
}

/** One `pm.test`, or a request that failed as a whole. */
export interface TestResult {
  readonly request: string;
  readonly test: string;
  /** undefined: it passed */
  readonly failure: string | undefined;
}

const REQUEST_MS_MAX = 15_000;

/** Runs every request of a collection in order. `variables` override those of the collection. */
export async function runCollection(
  collection: Collection,
  variables: Readonly<Record<string, string>>,
): Promise<TestResult[]> {
  const values = new Map((collection.variable ?? []).map(({ key, value }) => [key, value]));
  for (const [key, value] of Object.entries(variables)) values.set(key, value);
  const results: TestResult[] = [];
  for (const { name, item } of requestsOf(collection.item, ""))
    results.push(...(await runRequest(name, item, values)));
  return results;
}

function requestsOf(items: readonly Item[], folder: string): { name: string; item: Item }[] {
  return items.flatMap((item) => {
    const name = folder === "" ? item.name : `${folder} / ${item.name}`;
    return item.item === undefined ? [{ name, item }] : requestsOf(item.item, name);
  });
}

async function runRequest(name: string, item: Item, values: Map<string, string>): Promise<TestResult[]> {
  const results: TestResult[] = [];
  const record = (test: string, body: () => void): void => {
    let failure: string | undefined;
    try {
      body();
    } catch (error) {
      failure = (error as Error).message;
    }
    results.push({ request: name, test, failure });
  };
  const scripts = (listen: string): string[] =>
    (item.event ?? [])
      .filter((event) => event.listen === listen)
      .map((event) => event.script.exec.join("\n"));
  const runScripts = (listen: string, response?: ResponseView): void => {
    for (const code of scripts(listen)) {
      const pm = pmObject(values, response, record);
      try {
        runInNewContext(code, { pm, JSON, console });
      } catch (error) {
        results.push({ request: name, test: `${listen} script`, failure: (error as Error).message });
      }
    }
  };
  runScripts("prerequest");
  try {
    const response = await send(item.request ?? { method: "GET", url: "" }, values);
    runScripts("test", response);
    if (scripts("test").length === 0)
      record("answers with success", () => expectStatus(response, (code) => code < 400));
  } catch (error) {
    const { message, cause } = error as Error & { cause?: Error };
    results.push({ request: name, test: "is answered", failure: cause?.message || message });
  }
  return results;
}

interface ResponseView {
  readonly code: number;
  readonly body: string;
  readonly headers: Headers;
  readonly responseTime: number;
}

async function send(request: RequestDefinition, values: ReadonlyMap<string, string>): Promise<ResponseView> {
  const fill = (text: string): string => fillIn(text, values);
  const headers = (request.header ?? []).filter(({ disabled }) => disabled !== true);
  const start = performance.now();
  const response = await fetch(fill(typeof request.url === "string" ? request.url : request.url.raw), {
    method: request.method,
    headers: headers.map(({ key, value }): [string, string] => [key, fill(value)]),
    ...(request.body?.raw !== undefined && { body: fill(request.body.raw) }),
    signal: AbortSignal.timeout(REQUEST_MS_MAX),
  });
  const body = await response.text();
  return { code: response.status, body, headers: response.headers, responseTime: performance.now() - start };
}

/** Replaces `{{name}}`; Postman's `{{$guid}}` is a new UUID each time. */
function fillIn(text: string, values: ReadonlyMap<string, string>): string {
  return text.replace(/\{\{([^}]+)\}\}/g, (whole, name: string) =>
    name === "$guid" ? crypto.randomUUID() : (values.get(name) ?? whole),
  );
}

function expectStatus(response: ResponseView, holds: (code: number) => boolean): void {
  if (!holds(response.code)) throw new Error(`status ${response.code}: ${response.body.slice(0, 200)}`);
}

/** The implemented part of Postman's `pm`. */
function pmObject(
  values: Map<string, string>,
  response: ResponseView | undefined,
  record: (test: string, body: () => void) => void,
): object {
  const variables = {
    get: (name: string) => values.get(name),
    set: (name: string, value: unknown) => void values.set(name, String(value)),
  };
  return {
    test: record,
    expect,
    variables,
    collectionVariables: variables,
    response: response && {
      code: response.code,
      responseTime: response.responseTime,
      text: () => response.body,
      json: () => JSON.parse(response.body) as unknown,
      headers: { get: (name: string) => response.headers.get(name) },
      to: { have: { status: (code: number) => expectStatus(response, (got) => got === code) } },
    },
  };
}

/** The chai assertions that the scripts use. */
function expect(actual: unknown): object {
  const show = (value: unknown): string => JSON.stringify(value) ?? String(value);
  const check = (holds: boolean, what: string): void => {
    if (!holds) throw new Error(`expected ${show(actual)} ${what}`);
  };
  const equal = (expected: unknown): void => check(Object.is(actual, expected), `to be ${show(expected)}`);
  const eql = (expected: unknown): void => {
    // values of the script have prototypes of its own realm
    deepStrictEqual(JSON.parse(show(actual)), JSON.parse(show(expected)));
  };
  const size = (value: unknown): number => (value as { length: number }).length;
  const include = (part: unknown): void =>
    check((actual as string | unknown[]).includes(part as string), `to include ${show(part)}`);
  const to = {
    equal,
    eql,
    include,
    match: (pattern: RegExp) => check(pattern.test(String(actual)), `to match ${pattern}`),
    be: {
      a: (type: string) =>
        check((Array.isArray(actual) ? "array" : typeof actual) === type, `to be a ${type}`),
      above: (limit: number) => check((actual as number) > limit, `to be above ${limit}`),
      below: (limit: number) => check((actual as number) < limit, `to be below ${limit}`),
      oneOf: (list: unknown[]) => check(list.includes(actual), `to be one of ${show(list)}`),
    },
    have: {
      lengthOf: (length: number) => check(size(actual) === length, `to have length ${length}`),
      property: (name: string) => check(Object.hasOwn(actual as object, name), `to have property ${name}`),
    },
  };
  return { to };
}
