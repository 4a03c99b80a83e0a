/** `/v1/events`: what the protocol does, as it happens. */
import { Hono } from "hono";
import type { AppEnv } from "../app-env.ts";
import { eventStream } from "./event-stream.ts";

export const eventsApp = new Hono<AppEnv>().get("/", (c) => eventStream(c));
