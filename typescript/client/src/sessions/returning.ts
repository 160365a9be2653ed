/** The part of a page's globals that is used here; other runtimes lack it. */
interface Page {
  readonly document?: EventTarget & { readonly visibilityState: string };
  addEventListener?(type: string, listener: () => void): void;
  removeEventListener?(type: string, listener: () => void): void;
}

/**
 * Calls `act` when a browser has its network back, or a page is looked at again: whoever comes back should not wait for a timer
 * that was made long for an absence. What this returns ends that. Does nothing outside of a page.
 */
export function onReturn(act: () => void, page: Page = globalThis as Page): () => void {
  const { document } = page;
  if (document === undefined) return () => undefined;
  const looked = (): void => {
    if (document.visibilityState === "visible") act();
  };
  page.addEventListener?.("online", act);
  document.addEventListener("visibilitychange", looked);
  return () => {
    page.removeEventListener?.("online", act);
    document.removeEventListener("visibilitychange", looked);
  };
}
