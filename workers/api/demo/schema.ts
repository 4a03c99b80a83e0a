/**
 * Bodies of the demo's ports, as the original's producers, brokers and Postman collections send them: JSON under any
 * content type, with further members that are ignored.
 */
import type { Context } from "hono";
import * as v from "valibot";
import type { AppEnv } from "../app-env.ts";
import { bodyAs } from "../http/json-body.ts";
import type { Goal } from "../schema/views.ts";

/** Names in any case, as the decoder of the original's nodes takes them: its collections write `minute` and `Minute`. */
const inAnyCase = <S extends v.GenericSchema>(names: readonly string[], schema: S) =>
  v.pipe(
    v.looseObject({}),
    v.transform((value) => {
      const entries = Object.entries(value).map(([key, member]) => {
        const name = names.find((each) => each.toLowerCase() === key.toLowerCase());
        return [name ?? key, member, key === name] as const;
      });
      // if a name occurs twice, the one with the exact case counts
      return Object.fromEntries([
        ...entries.filter(([, , exact]) => !exact),
        ...entries.filter(([, , exact]) => exact),
      ]);
    }),
    schema,
  );

const port = v.union([v.string(), v.pipe(v.number(), v.transform(String))]);
const clients = v.pipe(v.string(), v.maxLength(1024));

const minute = v.pipe(v.number(), v.minValue(0), v.maxValue(1000));
const text = (max: number) => v.pipe(v.string(), v.maxLength(max));
const scorer = { Player: text(1000), Club: text(1000), Score: text(100) };

/** A goal; the original's first collections call its minute `Min`. */
const goal = v.pipe(
  inAnyCase(
    ["Minute", "Min", "Player", "Club", "Score"],
    v.union(
      [v.object({ Minute: minute, ...scorer }), v.object({ Min: minute, ...scorer })],
      "a goal has Minute (0 to 1000), Player, Club and Score",
    ),
  ),
  v.transform(
    (value): Goal => ({
      // the order of keys in `/data` is fixed
      Minute: "Minute" in value ? value.Minute : value.Min,
      Player: value.Player,
      Club: value.Club,
      Score: value.Score,
    }),
  ),
);

/** `POST /addScore` of a broker. */
export const addScoreBody = inAnyCase(
  ["metadata", "gameResults"],
  v.object({
    metadata: v.optional(
      inAnyCase(
        ["ReceiverIp", "Clients"],
        v.object({ ReceiverIp: v.optional(port, ""), Clients: v.optional(clients, "") }),
      ),
      {},
    ),
    gameResults: goal,
  }),
);

/** `POST /updateScore` of a broker. */
export const updateScoreBody = goal;

/** The znode of a sender is named after it. */
const sender = v.pipe(
  v.string(),
  v.regex(/^[\w-][\w.-]{0,63}$/, "a port or name of at most 64 letters, digits, dots, - and _"),
);

const senderFields = inAnyCase(
  ["SenderIp", "Clients"],
  v.object({ SenderIp: sender, Clients: v.optional(clients, "") }),
);

/** `POST /metadata` of a node: flat, or as the original's brokers send it, with the goal beside the metadata. */
export const metadataBody = inAnyCase(
  ["Metadata", "GameResults"],
  v.union(
    [
      v.pipe(
        v.object({
          Metadata: senderFields,
          // an empty object is not a goal, as in the original's collections
          GameResults: v.optional(
            v.union([
              goal,
              v.pipe(
                v.strictObject({}),
                v.transform(() => undefined),
              ),
            ]),
          ),
        }),
        v.transform(({ Metadata, GameResults }) => ({ ...Metadata, goal: GameResults })),
      ),
      v.pipe(
        senderFields,
        v.transform((fields) => ({ ...fields, goal: undefined as Goal | undefined })),
      ),
    ],
    "either SenderIp and Clients, or Metadata with SenderIp and Clients beside GameResults",
  ),
);

/** `POST /` of a node: the health check that the original's nodes send each second. The answer does not depend on it. */
export const healthCheckBody = v.object({ message: v.optional(v.string()) });

/** Reads the body of a demo's route. @throws ApiError */
export const demoBody = <S extends v.GenericSchema>(
  c: Context<AppEnv>,
  schema: S,
): Promise<v.InferOutput<S>> => bodyAs(c, schema, true);
