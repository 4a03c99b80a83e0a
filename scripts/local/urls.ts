/** The addresses of a local run. */

/** Where everything answers. */
export interface LocalUrls {
  /** the Worker itself, without a gateway between */
  readonly api: string;
  /** the page, straight from the runtime */
  readonly web: string;
  readonly console?: string;
  readonly nodes: readonly string[];
  readonly brokers: readonly string[];
  readonly clients: readonly string[];
}
