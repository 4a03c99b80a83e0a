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

/** The verbs that a subject may begin with: those of the history, and usual ones. One that is missing is added here. */
const VERBS: ReadonlySet<string> = new Set(
  (
    "accept adapt add address adjust admit adopt advance align allocate allow announce answer append apply archive " +
    "arm arrange ask assert assign attach audit authenticate authorize avoid await balance base batch bear " +
    "begin bench benchmark bias bind block bootstrap bound break bring buffer build bump bundle cache " +
    "calculate call cancel cap carry catch center chain change check choose claim clamp clarify clean clear " +
    "clip close collapse collect color combine come commit compact compare compile complete compress compute " +
    "condense configure confirm connect consume contain continue convert copy correct count cover crash " +
    "create cross cut cycle deal debounce debug decide declare decode decouple decrease dedupe deduplicate " +
    "default defer define delay delete deliver deny deploy depose deprecate derive describe deserialize " +
    "detach detect determine disable disallow discard disconnect discover dispatch display dispose " +
    "distinguish distribute divide do document drain draw drive drop dump duplicate edit elect eliminate " +
    "embed emit empty enable encode encrypt end enforce enlarge ensure enter enumerate escape establish " +
    "estimate evict examine exceed exclude execute exempt exit expand expect expire explain export expose " +
    "extend extract fail fall fast-forward feed fetch fill filter find finish fit fix flatten flush focus " +
    "fold follow forbid force forget fork format forward free freeze gather generate get give go group grow " +
    "guarantee guard handle hash hear hide highlight hold honor honour hook identify ignore implement import " +
    "improve include increase index infer inform inherit initialize inject inline insert install introduce " +
    "invalidate invert invoke isolate issue join judge justify keep kill label land launch lay lead learn " +
    "leave let lift limit link lint list load localize locate lock log look lose lower make mark mask match " +
    "measure meet mend merge migrate minimize mirror mix mock model monitor mount move mutate name narrow " +
    "need negotiate normalize note notice notify nudge number obey offer omit open optimize order organize " +
    "override own pack pad page parse part pass patch pause permit persist pick pin ping pipe place point " +
    "poll post prefer prefix prepare present preserve prevent print probe proceed produce profile prohibit " +
    "promise promote propagate propose protect prove provide prune publish pull purge push put quantify query " +
    "queue quote raise randomize rank reach read rebase rebuild receive recompute reconcile reconnect record " +
    "recover redact redesign redirect reduce refactor refer refine reflect reformat refresh refuse regenerate " +
    "register reject relax relay release reload remove rename render renew reopen reorder reorganize repair " +
    "repeat rephrase replace replay reply report represent reproduce request require rerun reserve reset " +
    "reshape resize resolve respect respond restart restore restrict restructure resume retain retire retry " +
    "return reuse reveal reverse revert review revise revive revoke rewrite roll rotate round route run " +
    "sample save say scale scan schedule scope search secure see seed select send separate serialize serve " +
    "set settle share sharpen ship shorten show shrink shut sign signal silence simplify simulate skip sleep " +
    "slow sort spare spawn specify speed spell split spread stabilize stage stamp start state stay step stop " +
    "store stream strengthen string strip structure style subscribe substitute succeed suggest summarize " +
    "supply support suppress survive swap switch sync synchronize tag take tear tell terminate test throttle " +
    "throw tick tidy tie tighten time tolerate touch trace track transfer transform translate treat trigger " +
    "trim truncate trust try tune turn type unblock uncover undo unify unlock unsubscribe untangle unwrap " +
    "update upgrade use validate vary verify view visit void vote wait wake walk warn watch weigh widen wipe " +
    "withdraw work wrap write yield zero"
  ).split(" "),
);

/** Why the subject of a commit is invalid; undefined if it is valid. */
export function subjectFault(subject: string): string | undefined {
  const length = [...subject].length;
  if (length > SUBJECT_MAX) return `${length} characters, at most ${SUBJECT_MAX}`;
  const rest = FORM.exec(subject)?.[1];
  if (rest === undefined) return `not of the form "type(scope): verb …" (types: ${TYPES.join(", ")})`;
  const verb = rest.split(" ")[0] ?? "";
  if (!VERBS.has(verb))
    return (
      `"${verb}" is not an imperative that is known: begin with what the commit does, as in "add" ` +
      "(a verb that is missing is added to VERBS in scripts/local/commit-subject.ts)"
    );
  if (rest.endsWith(".")) return "ends with a full stop";
  return undefined;
}
