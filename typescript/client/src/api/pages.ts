import { PAGE_MAX } from "../wire/limits.ts";
import { apiPath, type Call, type Query } from "./call.ts";
import type { Transport } from "./transport.ts";

/** What every list takes. */
export interface ListOptions {
  /** Most items in all; every one there is unless given. */
  readonly limit?: number | undefined;
  /** Ends the listing early. */
  readonly signal?: AbortSignal | undefined;
}

interface Page<T> {
  readonly items: T[];
  readonly next_cursor: string | null;
}

/** A list of the API: where it is, and what narrows it. */
export interface Listing {
  readonly operation: string;
  readonly parts: readonly string[];
  readonly query?: Query;
  readonly instanceId?: string;
}

/** Every item of a list; page after page is fetched as it is read. */
export async function* readPages<T>(transport: Transport, listing: Listing, options: ListOptions = {}): AsyncGenerator<T, void> {
  let left = options.limit ?? Infinity;
  let cursor: string | undefined;
  while (left > 0) {
    const path = apiPath(listing.parts, { ...listing.query, limit: Math.min(left, PAGE_MAX), cursor });
    const { operation, instanceId } = listing;
    const call: Call = { operation, method: "GET", path, instanceId, signal: options.signal };
    const page = await transport.json<Page<T>>(call);
    yield* page.items;
    left -= page.items.length;
    if (page.next_cursor === null || page.next_cursor === undefined) return;
    cursor = page.next_cursor;
  }
}
