import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { Route, Router, Switch } from "wouter";
import { useHashLocation } from "wouter/use-hash-location";
import { LivePage } from "./pages/live-page.tsx";
import "./styles/tokens.css";
import "./styles/base.css";
import "./styles/controls.css";
import "./styles/layout.css";
import "./styles/rows.css";
import "./styles/pings.css";
import "./styles/messages.css";
import "./styles/help.css";
import "./styles/ensemble.css";
import "./styles/goals.css";
import "./styles/log.css";
import "./styles/motion.css";

/** `#/e/{name}` shows another ensemble. The hash needs nothing from the server that hosts the page. */
const root = document.getElementById("root");
if (root) {
  createRoot(root).render(
    <StrictMode>
      <Router hook={useHashLocation}>
        <Switch>
          <Route path="/e/:name">{({ name }) => <LivePage ensemble={name} />}</Route>
          <Route>
            <LivePage ensemble={null} />
          </Route>
        </Switch>
      </Router>
    </StrictMode>,
  );
}
