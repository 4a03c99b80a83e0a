/** The page of a port whose run is still starting: it shows the current step, and opens the console by itself. */

/** @param doing the current step, as a sentence without a full stop */
export const waitingPage = (doing: string): string => `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>ZooWeeper is starting</title>
<noscript><meta http-equiv="refresh" content="2"></noscript>
<style>
:root { color-scheme: light dark; font: 16px/1.5 ui-sans-serif, system-ui, -apple-system, "Segoe UI", Roboto, sans-serif }
body { display: grid; min-height: 100dvh; margin: 0; place-items: center; background: light-dark(oklch(97.6% 0.006 200), oklch(17% 0.02 230)); color: light-dark(oklch(24% 0.03 235), oklch(94.5% 0.008 210)) }
main { max-width: 30rem; padding: 2rem; text-align: center }
svg { display: block; width: 88px; height: 88px; margin: 0 auto 1rem; overflow: visible }
.ring { fill: none; stroke: light-dark(oklch(62% 0.115 178), oklch(75% 0.115 178)); stroke-width: 2 }
.node { fill: light-dark(oklch(62% 0.115 178), oklch(75% 0.115 178)) }
.crown { fill: light-dark(oklch(74% 0.155 80), oklch(82% 0.145 85)) }
h1 { margin: 0 0 .25rem; font-size: 1.5rem; letter-spacing: -.015em }
p { margin: .25rem 0; color: light-dark(oklch(45% 0.025 230), oklch(74% 0.02 220)) }
#doing { color: inherit; font-weight: 600 }
@media (prefers-reduced-motion: no-preference) {
  .node { animation: beat 1.2s ease-in-out infinite alternate }
  .node + .node { animation-delay: -1.2s }
  @keyframes beat { from { opacity: .35 } }
}
</style>
</head>
<body>
<main>
<svg viewBox="0 0 32 32" aria-hidden="true"><circle cx="16" cy="19" r="9" class="ring"/><circle cx="8.5" cy="24" r="3.4" class="node"/><circle cx="23.5" cy="24" r="3.4" class="node"/><path d="M10 13 8.300 4.500l4.400 3.400L16 2.500l3.300 5.400 4.400-3.400L22 13z" class="crown"/></svg>
<h1>ZooWeeper is starting</h1>
<p id="doing" role="status">${escaped(sentence(doing))}</p>
<p id="hint">This page opens by itself when it is ready.</p>
</main>
<script>
let failed = 0;
async function look() {
  try {
    const answer = await fetch(location.href, { headers: { accept: "application/problem+json" }, cache: "no-store" });
    const problem = answer.status === 503 ? await answer.json().catch(() => ({})) : {};
    if (problem.code !== "STARTING") return location.reload();
    failed = 0;
    document.getElementById("doing").textContent = problem.doing;
  } catch {
    failed += 1;
    if (failed === 10) {
      document.getElementById("doing").textContent = "Nothing answers here any more.";
      document.getElementById("hint").textContent = "See the terminal in which it was started; this page keeps trying.";
    }
  }
  setTimeout(look, 400);
}
setTimeout(look, 400);
</script>
</body>
</html>
`;

/** The step as the page shows it. */
export const sentence = (text: string): string => `${text[0]?.toUpperCase() ?? ""}${text.slice(1)}.`;

const escaped = (text: string): string => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;");
