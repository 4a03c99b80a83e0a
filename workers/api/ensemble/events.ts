/** `/v1/events`: protocol events as they happen. */
import { Hono } from "hono";
import type { AppEnv } from "../app-env.ts";
import { eventStream } from "./event-stream.ts";

/** Route of the event stream. */
export const eventsApp = new Hono<AppEnv>().get("/", (c) => eventStream(c));
