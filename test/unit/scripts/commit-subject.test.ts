/** Valid and invalid subjects of commits. */
import { describe, expect, it } from "vitest";
import { subjectFault } from "../../../scripts/local/commit-subject.ts";

describe("the subject of a commit", () => {
  it.each([
    "fix(zab): keep join ids below 2^53",
    "test(sim): feed each member its own clock",
    "docs(http-api): address each route by name",
    "refactor(api, web): bring the types together",
    `fix(zab): keep ${"x".repeat(45)}`,
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
    ["fix(zab): bug in the election", /"bug" is not an imperative that is known.*added to VERBS/],
    ["fix(zab): proper election", /"proper" is not an imperative/],
    ["fix(zab): nice", /"nice" is not an imperative/],
    ["fix(zab): process dies", /"process" is not an imperative/],
    ["fix(zab): wip", /"wip" is not an imperative/],
    ["fix(zab): foo bar", /"foo" is not an imperative/],
    ["fix(zab): Keep join ids", /"Keep" is not an imperative/],
    ["fix(zab): keep join ids.", /full stop/],
    [`fix(zab): keep ${"x".repeat(46)}`, /61 characters, at most 60/],
  ])("[TIDY-8] %s is refused", (subject, fault) => {
    expect(subjectFault(subject)).toMatch(fault);
  });
});
