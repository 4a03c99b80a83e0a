import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { Route, Router, Switch } from "wouter";
import { useHashLocation } from "wouter/use-hash-location";
import { LivePage } from "./pages/live-page.tsx";
import "./styles/tokens.css";
import "./styles/base.css";
import "./styles/layout.css";
import "./styles/ensemble.css";
import "./styles/goals.css";
import "./styles/log.css";
import "./styles/motion.css";

const client = new QueryClient({
  // A poll that failed is simply the next poll's to mend.
  defaultOptions: { queries: { retry: false, refetchOnWindowFocus: true } },
});

/** `#/e/{name}` shows another ensemble. The hash needs nothing from the server that hosts the page. */
const root = document.getElementById("root");
if (root) {
  createRoot(root).render(
    <StrictMode>
      <QueryClientProvider client={client}>
        <Router hook={useHashLocation}>
          <Switch>
            <Route path="/e/:name">{({ name }) => <LivePage key={name} ensemble={name} />}</Route>
            <Route>
              <LivePage key="" ensemble={null} />
            </Route>
          </Switch>
        </Router>
      </QueryClientProvider>
    </StrictMode>,
  );
}
