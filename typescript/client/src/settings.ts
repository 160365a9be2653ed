/** Where `podium up` serves when nothing else is said. */
export const DEFAULT_URL = "http://127.0.0.1:8090";

/** Where Podium is and who asks. */
export interface Settings {
  /** Address of the gateway, without a slash at its end. */
  readonly url: string;
  /** Tenant or admin key; empty: none is sent. */
  readonly apiKey: string;
  /** For an admin key: the tenant it acts for. */
  readonly tenant: string | undefined;
}

/** What may be given instead of the environment's values. */
export interface GivenSettings {
  readonly url?: string | undefined;
  readonly apiKey?: string | undefined;
  readonly tenant?: string | undefined;
}

/**
 * Settings from `PODIUM_URL` and `PODIUM_API_KEY`; what is given wins.
 *
 * @throws TypeError the address is none of http or https
 */
export function readSettings(given: GivenSettings = {}, environment = processEnvironment()): Settings {
  const url = (given.url || environment["PODIUM_URL"] || DEFAULT_URL).replace(/\/+$/, "");
  if (!/^https?:\/\/./.test(url)) throw new TypeError("PODIUM_URL must begin with http:// or https://");
  return { url, apiKey: given.apiKey ?? environment["PODIUM_API_KEY"] ?? "", tenant: given.tenant };
}

/** The process's environment where there is one (Bun, Node); nothing in a browser. */
function processEnvironment(): Readonly<Record<string, string | undefined>> {
  const host = globalThis as { process?: { env?: Record<string, string | undefined> } };
  return host.process?.env ?? {};
}

/** Headers every request carries. */
export function headersOf(settings: Settings): Record<string, string> {
  return {
    ...(settings.apiKey === "" ? {} : { Authorization: `Bearer ${settings.apiKey}` }),
    ...(settings.tenant === undefined ? {} : { "Podium-Tenant": settings.tenant }),
  };
}
