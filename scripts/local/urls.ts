/** The addresses of a local run. */

/** URLs of all parts of a run. */
export interface LocalUrls {
  /** the Worker itself, without a gateway */
  readonly api: string;
  /** the page, straight from the runtime */
  readonly web: string;
  readonly console?: string;
  readonly nodes: readonly string[];
  readonly brokers: readonly string[];
  readonly clients: readonly string[];
}
