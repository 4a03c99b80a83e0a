/** The form of a commit's subject: `type(scope): verb …`, the verb in the imperative. */

/** characters of a subject: `git log --oneline` shows it whole in 70 columns, with an abbreviated id */
const SUBJECT_MAX = 60;

const TYPES = [
  "feat",
  "fix",
  "perf",
  "refactor",
  "test",
  "docs",
  "bench",
  "build",
  "ci",
  "chore",
  "style",
  "revert",
] as const;

const FORM = new RegExp(`^(?:${TYPES.join("|")})\\([a-z0-9-]+(?:, ?[a-z0-9-]+)*\\): (\\S.*)$`);

/** Words that begin a statement instead of a command. */
const NOT_VERBS = new Set(
  (
    "a an the this that these those it its they we our he she one two three each every all any some no not none " +
    "nobody nothing what which who whom whose whoever when where why how if while once also only more less many " +
    "and or but in on at of off for from by with without into to as than then there here is are was were be can " +
    "may must shall should will would old older new newer late later early forced unit pure parallel original"
  ).split(" "),
);

/** Imperatives that look like another form of a verb, or like a noun. */
const VERBS = new Set(
  "need feed seed embed speed proceed exceed succeed shed bring ping string focus bias".split(" "),
);

/** Whether `word` can be the imperative of a verb, by its form alone. */
function isImperative(word: string): boolean {
  if (!/^[a-z]+(-[a-z]+)*$/.test(word) || NOT_VERBS.has(word)) return false;
  return VERBS.has(word) || !/(?:ed|ing|ly|[^s]s)$/.test(word);
}

/** Why the subject of a commit is invalid; undefined if it is valid. */
export function subjectFault(subject: string): string | undefined {
  const length = [...subject].length;
  if (length > SUBJECT_MAX) return `${length} characters, at most ${SUBJECT_MAX}`;
  const rest = FORM.exec(subject)?.[1];
  if (rest === undefined) return `not of the form "type(scope): verb …" (types: ${TYPES.join(", ")})`;
  const verb = rest.split(" ")[0] ?? "";
  if (!isImperative(verb))
    return `"${verb}" is not an imperative: begin with what the commit does, as in "add"`;
  if (rest.endsWith(".")) return "ends with a full stop";
  return undefined;
}
