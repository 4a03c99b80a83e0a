/** Small requests to a deployment. */

export interface EnsembleView {
  readonly leader: number | null;
  readonly hasQuorum: boolean;
  readonly epoch: number;
  readonly reason: string | null;
  readonly nodes: readonly NodeView[];
}

export interface NodeView {
  readonly sid: number;
  readonly up: boolean;
  readonly role?: string;
  readonly serving?: boolean;
  readonly lastZxid?: string;
  readonly appliedZxid?: string;
  readonly digest?: string;
  readonly elections?: number;
  readonly boot?: number;
}

export interface ClusterView {
  readonly controller: number | null;
  readonly brokers: readonly { readonly id: number; readonly up: boolean }[];
  readonly topics: readonly {
    readonly name: string;
    readonly partitions: readonly { readonly leader: number }[];
  }[];
}

export async function getJson<T>(url: string): Promise<T> {
  const response = await fetch(url, { headers: { accept: "application/json" } });
  if (!response.ok) throw new Error(`${url} answered ${response.status}: ${await response.text()}`);
  return (await response.json()) as T;
}

export async function getText(url: string): Promise<{ status: number; text: string }> {
  const response = await fetch(url);
  return { status: response.status, text: await response.text() };
}

export async function post(url: string, body?: string, headers?: Record<string, string>): Promise<Response> {
  const response = await fetch(url, {
    method: "POST",
    ...(body !== undefined && { body }),
    ...(headers && { headers }),
  });
  if (!response.ok) throw new Error(`${url} answered ${response.status}: ${await response.text()}`);
  return response;
}

export const ensembleOf = (api: string): Promise<EnsembleView> => getJson(`${api}/v1/ensemble`);

/** Has everybody that is up applied the same, with the same digest? */
export const isSettled = ({ leader, nodes }: EnsembleView): boolean =>
  leader !== null &&
  nodes.every(({ up, serving }) => up && serving === true) &&
  new Set(nodes.map(({ appliedZxid, digest }) => `${appliedZxid} ${digest}`)).size === 1;
