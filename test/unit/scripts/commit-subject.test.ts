/** Valid and invalid subjects of commits. */
import { describe, expect, it } from "vitest";
import { subjectFault } from "../../../scripts/local/commit-subject.ts";

describe("the subject of a commit", () => {
  it.each([
    "fix(zab): keep join ids below 2^53",
    "test(sim): feed each member its own clock",
    "docs(http-api): address each route by name",
    "refactor(api, web): bring the types together",
    `fix(zab): ${"x".repeat(50)}`,
  ])("[TIDY-8] %s is in form", (subject) => {
    expect(subjectFault(subject)).toBeUndefined();
  });

  it.each([
    ["fix: write error texts plainly", /not of the form/],
    ["zab: keep join ids below 2^53", /not of the form/],
    ["fix(zab):keep join ids", /not of the form/],
    ["fix(zab): a late answer goes to its request", /"a" is not an imperative/],
    ["fix(zab): numbers of joins are numbers", /"numbers" is not an imperative/],
    ["fix(zab): fixed the join ids", /"fixed" is not an imperative/],
    ["fix(zab): fixing the join ids", /"fixing" is not an imperative/],
    ["fix(zab): Keep join ids", /"Keep" is not an imperative/],
    ["fix(zab): keep join ids.", /full stop/],
    [`fix(zab): ${"x".repeat(51)}`, /61 characters, at most 60/],
  ])("[TIDY-8] %s is refused", (subject, fault) => {
    expect(subjectFault(subject)).toMatch(fault);
  });
});
