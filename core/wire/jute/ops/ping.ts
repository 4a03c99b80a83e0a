/** ping 11: nothing → nothing. Pings, and the marks in their place, have an xid of their own: see `marks.ts`. */
import type { OpCodec, Reply } from "./op.ts";

/** ping */
export const ping: OpCodec = {
  kind: "ping",
  readReply: (): Reply => ({ type: "empty" }),
};
