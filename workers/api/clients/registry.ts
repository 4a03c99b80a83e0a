/**
 * The named ensembles: one znode each in the default ensemble. For an unknown name no object is created.
 */
import { CreateMode, NO_SESSION } from "../../../core/znode/types.ts";
import { type ApiEnv, DEFAULT_ENSEMBLE } from "../env.ts";
import { ApiError } from "../http/errors.ts";
import { EnsembleClient } from "./ensemble-client.ts";
import { isRemembered, memoOf } from "./ensemble-memo.ts";
import { configuredSize, ENSEMBLE_SIZES, found } from "./founding.ts";

const REGISTRY_PATH = "/zooweeper/ensembles";
const NAME = /^[a-z0-9-]{1,40}$/;

/** Whether an ensemble may have this name. */
export const isEnsembleName = (name: string): boolean => NAME.test(name);

/** Size of a named ensemble; undefined if there is none. Ensembles are never removed, so a size is cached. */
export async function sizeOfNamed(env: ApiEnv, name: string): Promise<number | undefined> {
  if (!isEnsembleName(name)) return undefined;
  if (isRemembered(name)) return memoOf(name).size;
  // a member that lags or is cut off may lack an entry, but has no wrong one: only a miss is read again
  const size = (await registered(env, name, true)) ?? (await registered(env, name, false));
  if (size !== undefined) memoOf(name).size = size;
  return size;
}

/** Result of {@link createEnsemble}. */
export interface Creation {
  readonly size: number;
  readonly created: boolean;
}

/**
 * Creates a named ensemble, or finds it.
 * @throws ApiError ENSEMBLE_EXISTS when it has another size
 */
export async function createEnsemble(env: ApiEnv, name: string, size: number): Promise<Creation> {
  const creation =
    name === DEFAULT_ENSEMBLE ? await foundDefault(env, size) : await register(env, name, size);
  if (creation.size !== size) {
    throw new ApiError("ENSEMBLE_EXISTS", `the ensemble "${name}" exists with ${creation.size} nodes`);
  }
  if (name !== DEFAULT_ENSEMBLE) await found(env, name, size);
  return creation;
}

async function foundDefault(env: ApiEnv, size: number): Promise<Creation> {
  return (await found(env, DEFAULT_ENSEMBLE, size)) ?? { size: configuredSize(env), created: false };
}

async function register(env: ApiEnv, name: string, size: number): Promise<Creation> {
  const data = new TextEncoder().encode(JSON.stringify({ size }));
  const created = await createUnlessExists(env, `${REGISTRY_PATH}/${name}`, data);
  if (created) return { size, created };
  const existing = await registered(env, name, false);
  if (existing === undefined)
    throw new ApiError("SYSTEM_ERROR", `the entry of the ensemble "${name}" is not readable`);
  return { size: existing, created };
}

/** Creates a znode and its missing parents; returns false if the znode exists. */
async function createUnlessExists(env: ApiEnv, path: string, data: Uint8Array | null): Promise<boolean> {
  const zoo = new EnsembleClient(env, DEFAULT_ENSEMBLE);
  const create = { type: "create", path, data, mode: CreateMode.PERSISTENT, withStat: false } as const;
  try {
    await zoo.write({ session: NO_SESSION, xid: 0, request: create });
    return true;
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    if (error.code === "NODE_EXISTS") return false;
    const slash = path.lastIndexOf("/");
    if (error.code !== "NO_NODE" || slash === 0) throw error;
    await createUnlessExists(env, path.slice(0, slash), null);
    return createUnlessExists(env, path, data);
  }
}

async function registered(env: ApiEnv, name: string, stale: boolean): Promise<number | undefined> {
  const request = { type: "getData", path: `${REGISTRY_PATH}/${name}`, watch: false } as const;
  try {
    const zoo = new EnsembleClient(env, DEFAULT_ENSEMBLE);
    const { value } = await zoo.read({ session: NO_SESSION, request, consistency: "local", stale });
    return value.data !== null ? parseSize(value.data) : undefined;
  } catch (error) {
    if (error instanceof ApiError && error.code === "NO_NODE") return undefined;
    throw error;
  }
}

/** Every client may write znodes, so the entry is validated like any input. */
function parseSize(data: Uint8Array): number | undefined {
  try {
    const entry: unknown = JSON.parse(
      new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(data),
    );
    const size = typeof entry === "object" && entry !== null && "size" in entry ? entry.size : undefined;
    return typeof size === "number" && ENSEMBLE_SIZES.includes(size) ? size : undefined;
  } catch {
    return undefined;
  }
}
