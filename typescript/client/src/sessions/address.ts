/** Where `podium up` serves sessions when nothing else is said. */
export const DEFAULT_SESSIONS_URL = "http://127.0.0.1:8080";

const PATH = "/ws";

/**
 * The address of the WebSocket behind what was given: `http` becomes `ws`, and an address without a path gets `/ws`.
 *
 * @throws TypeError it is none of http, https, ws or wss
 */
export function socketAddress(given: string | undefined): string {
  const url = new URL(given || DEFAULT_SESSIONS_URL);
  if (!/^(http|ws)s?:$/.test(url.protocol)) throw new TypeError("the address must begin with http, https, ws or wss");
  url.protocol = url.protocol.replace("http", "ws");
  if (url.pathname === "/") url.pathname = PATH;
  url.hash = "";
  return url.href;
}
