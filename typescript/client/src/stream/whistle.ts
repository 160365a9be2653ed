/** Tells all that wait for it that something has changed; each looks for itself what. */
export class Whistle {
  #waiting: (() => void)[] = [];

  /** Settles with the next blow. */
  heard(): Promise<void> {
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  /** Wakes all that wait now. */
  blow(): void {
    for (const resolve of this.#waiting.splice(0)) resolve();
  }
}
