/** A signal that is aborted with the first of several, until it is let go. */
export interface Linked {
  readonly signal: AbortSignal;
  /** Ends the link: the others hold nothing of this one any more. */
  unlink(): void;
}

/**
 * One signal for several. `AbortSignal.any` would do, but in Node it keeps what it made as long as its sources live, and
 * the client itself is a source of every call.
 */
export function linked(sources: readonly (AbortSignal | undefined)[]): Linked {
  const joined = new AbortController();
  const links = sources
    .filter((source) => source !== undefined)
    .map((source) => ({ source, pass: (): void => joined.abort(source.reason) }));
  for (const { source, pass } of links) {
    if (source.aborted) pass();
    else source.addEventListener("abort", pass, { once: true });
  }
  const unlink = (): void => {
    for (const { source, pass } of links) source.removeEventListener("abort", pass);
  };
  return { signal: joined.signal, unlink };
}
