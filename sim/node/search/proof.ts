/** `npm run test:search`: runs the search in a size that suits CI, and prints the result at the end, as the other lanes do. */
import { CI_SCOPES, search } from "./index.ts";

const outcomes = await Promise.all(
  CI_SCOPES.map(async (scope) => {
    const { states, completeTo, scope: full, seconds, terminated, violation, path } = await search(scope);
    const enough = terminated || states >= (scope.states ?? 0);
    const passed = violation === undefined && enough;
    const { servers, crashes, elections, txns } = full;
    const size = `${servers} servers, ${crashes} crashes, ${elections} elections, ${txns} txns`;
    const end = terminated ? "to the end" : `complete to ${completeTo} ${full.order}`;
    console.log(`${passed ? "✓" : "✗"} ${size}: ${states} distinct states, ${end}, ${Math.round(seconds)} s`);
    if (violation !== undefined) console.log(`${violation}\n${path.join("\n")}`);
    return passed;
  }),
);
const failed = outcomes.filter((passed) => !passed).length;
const passed = outcomes.length - failed;
console.log(`\n Tests  ${failed === 0 ? "" : `${failed} failed | `}${passed} passed (${outcomes.length})`);
process.exitCode = failed === 0 ? 0 : 1;
