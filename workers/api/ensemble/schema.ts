/** JSON bodies of requests about ensembles. Unknown members are refused. */
import * as v from "valibot";

/** `PUT /v1/ensembles/{name}` */
export const ensembleBody = v.strictObject({
  size: v.picklist([1, 3, 5, 7, 9], "an ensemble has 1, 3, 5, 7 or 9 nodes"),
});
