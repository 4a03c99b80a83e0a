/** Describes an invalid body: the member, what was expected, and what was received. */
import * as v from "valibot";

const VALUE_LENGTH_MAX = 60;

/** A sentence for the first issue of a body. */
export function issueText(issue: v.BaseIssue<unknown>): string {
  const path = v.getDotPath(issue);
  return `${path ?? "the body"}: ${wordsOf(issue)}`;
}

function wordsOf(issue: v.BaseIssue<unknown>): string {
  // a message of the schema; all messages of valibot begin with "Invalid"
  if (!issue.message.startsWith("Invalid ")) return `${issue.message}, got ${shown(issue.input)}`;
  if (issue.kind === "schema") {
    const isKey = issue.path?.at(-1)?.origin === "key";
    if (issue.expected === "never" && isKey) return "there is no such member";
    if (issue.received === "undefined") return "it is missing";
  }
  return `${expectation(issue)} was expected, got ${shown(issue.input)}`;
}

const ARTICLE: Readonly<Record<string, string>> = {
  string: "text",
  number: "a number",
  boolean: "true or false",
  Array: "an array",
  Object: "an object",
};

function expectation({ type, expected, requirement }: v.BaseIssue<unknown>): string {
  switch (type) {
    case "integer":
    case "safe_integer":
      return "a whole number";
    case "min_value":
      return `a number of at least ${requirement}`;
    case "max_value":
      return `a number of at most ${requirement}`;
    case "min_length":
      return `a length of at least ${requirement}`;
    case "max_length":
      return `a length of at most ${requirement}`;
    default:
      break;
  }
  const words = (expected ?? "another value").replaceAll(/[()]/g, "").split(" | ");
  return words.map((word) => ARTICLE[word] ?? word).join(" or ");
}

/** The received value, shortened. */
function shown(value: unknown): string {
  if (value === undefined) return "nothing";
  if (Array.isArray(value)) return value.length > 5 ? `an array of ${value.length}` : "an array";
  if (typeof value === "object" && value !== null) return "an object";
  if (typeof value === "string" && value.length > VALUE_LENGTH_MAX)
    return `text of ${value.length} characters`;
  return JSON.stringify(value);
}
