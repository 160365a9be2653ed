import { describe, expect, test } from "bun:test";
import { PodiumConnectionError, type ErrorCode } from "../src/errors.ts";
import { abandoned, CircuitBreaker, CLOSED, COOLDOWN_MS, entered, failed, remaining, THRESHOLD, type Breaker } from "../src/resilience/breaker.ts";
import { Heartbeat, PONG_MS, QUIET_MS } from "../src/resilience/heartbeat.ts";
import { CALLS, ceiling, delayBefore, NEVER, withRetry } from "../src/resilience/retry.ts";
import { SingleFlight } from "../src/resilience/single_flight.ts";
import { sleep, unlessAborted } from "../src/resilience/timing.ts";
import { settle, VirtualTime } from "./virtual_time.ts";

function problem(code: ErrorCode, retryAfterMs?: number): PodiumConnectionError {
  return new PodiumConnectionError("try", { code, detail: "as the test wants", retryAfterMs });
}

async function failure(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => expect.unreachable(),
    (error: unknown) => error,
  );
}

describe("retry", () => {
  test("waits are drawn from 0 to 500 ms, 1 s, 2 s, then 4 s", () => {
    expect([1, 2, 3, 4, 5].map((retry) => ceiling(CALLS, retry))).toEqual([500, 1000, 2000, 4000, 4000]);
    expect([0, 0.25, 0.999].map((chance) => delayBefore(CALLS, 2, chance))).toEqual([0, 250, 999]);
  });

  test("there are three retries and no more", () => {
    expect(delayBefore(CALLS, 3, 1)).toBe(2000);
    expect(delayBefore(CALLS, 4, 1)).toBeUndefined();
    expect(delayBefore(NEVER, 1, 1)).toBeUndefined();
  });

  test("what the server asks for is the least that is waited; a longer pause fails now", () => {
    expect(delayBefore(CALLS, 1, 0, 7_000)).toBe(7_000);
    expect(delayBefore(CALLS, 1, 0, 31_000)).toBeUndefined();
  });

  test("a call is repeated on its schedule until it succeeds", async () => {
    const time = new VirtualTime(0.5);
    const triedAt: number[] = [];
    const result = withRetry(CALLS, time, async () => {
      triedAt.push(time.now());
      if (triedAt.length < 4) throw problem("draining");
      return "done";
    });
    await time.pass(10_000);
    expect(await result).toBe("done");
    expect(triedAt).toEqual([0, 250, 750, 1750]);
    expect(time.pending).toBe(0);
  });

  test("the fourth failure is the last", async () => {
    const time = new VirtualTime();
    let tries = 0;
    const result = failure(
      withRetry(CALLS, time, async () => {
        tries += 1;
        throw problem("unreachable");
      }),
    );
    await time.pass(60_000);
    expect(await result).toBeInstanceOf(PodiumConnectionError);
    expect(tries).toBe(4);
  });

  test.each(["invalid_request", "agent_start_failed", "internal"] as const)("%s is not tried again", async (code) => {
    let tries = 0;
    const call = withRetry(CALLS, new VirtualTime(), async () => {
      tries += 1;
      throw problem(code);
    });
    expect(await failure(call)).toMatchObject({ code });
    expect(tries).toBe(1);
  });

  test("an abort ends it in the middle of a wait and leaves no timer", async () => {
    const time = new VirtualTime();
    const stop = new AbortController();
    const result = failure(withRetry(CALLS, time, () => Promise.reject(problem("draining")), stop.signal));
    await settle();
    expect(time.pending).toBe(1);
    stop.abort("enough");
    expect(await result).toBe("enough");
    expect(time.pending).toBe(0);
  });
});

describe("circuit breaker", () => {
  const after = (count: number, now: number): Breaker => {
    let state = CLOSED;
    for (let failure = 0; failure < count; failure += 1) state = failed(state, now);
    return state;
  };

  test("it opens with the fifth failure in a row", () => {
    expect([THRESHOLD, after(4, 0).circuit, after(5, 0).circuit]).toEqual([5, "closed", "open"]);
  });

  test("while open nothing goes through for thirty seconds, then exactly one call does", () => {
    const open = after(5, 1_000);
    expect(COOLDOWN_MS).toBe(30_000);
    expect(remaining(open, 11_000)).toBe(20_000);
    expect(entered(open, 30_999)).toBeUndefined();
    const trial = entered(open, 31_000);
    expect(trial?.circuit).toBe("half_open");
    expect(entered(trial!, 31_001)).toBeUndefined();
  });

  test("a trial that fails opens it for another thirty seconds", () => {
    const again = failed({ circuit: "half_open", failures: 5, since: 0 }, 100);
    expect([again.circuit, remaining(again, 100)]).toEqual(["open", 30_000]);
  });

  test("a trial that is aborted lets the next one try at once", () => {
    expect(entered(abandoned({ circuit: "half_open", failures: 5, since: 0 }, 100), 100)?.circuit).toBe("half_open");
    expect(abandoned(after(3, 0), 100)).toEqual(after(3, 0));
  });

  test("an open circuit fails at once without calling, and one success closes it", async () => {
    const time = new VirtualTime();
    const breaker = new CircuitBreaker(time);
    let calls = 0;
    const fail = (): Promise<unknown> =>
      failure(breaker.run("createInstance", () => ((calls += 1), Promise.reject(problem("no_coordinator_available")))));
    for (let call = 0; call < 5; call += 1) await fail();
    const refused = (await fail()) as PodiumConnectionError;
    expect([calls, refused.code, refused.operation, refused.retryAfterMs]).toEqual([5, "unreachable", "createInstance", 30_000]);
    await time.pass(30_000);
    const slow = breaker.run("createInstance", () => sleep(time, 1_000).then(() => "made"));
    expect(await fail()).toMatchObject({ code: "unreachable" });
    expect(calls).toBe(5);
    await time.pass(1_000);
    expect(await slow).toBe("made");
    expect(breaker.state).toEqual(CLOSED);
  });

  test("refused requests do not count, and start the count again", async () => {
    const breaker = new CircuitBreaker(new VirtualTime());
    for (let call = 0; call < 4; call += 1) await failure(breaker.run("x", () => Promise.reject(problem("unreachable"))));
    const refused = new PodiumConnectionError("x", { code: "agent_start_failed", detail: "", status: 422 });
    await failure(breaker.run("x", () => Promise.reject(refused)));
    expect(breaker.state).toEqual(CLOSED);
  });
});

describe("single flight", () => {
  test("whoever asks for the same while it is under way waits for the first", async () => {
    const flight = new SingleFlight<number>();
    let runs = 0;
    const work = async (): Promise<number> => {
      runs += 1;
      await settle();
      return runs;
    };
    expect(await Promise.all([flight.run("a", work), flight.run("a", work), flight.run("b", work)])).toEqual([2, 2, 2]);
    expect([runs, flight.size]).toEqual([2, 0]);
    expect(await flight.run("a", work)).toBe(3);
  });

  test("a failure is shared too, and forgotten", async () => {
    const flight = new SingleFlight<number>();
    const both = ["one", "two"].map((name) => failure(flight.run("a", () => Promise.reject(name))));
    expect(await Promise.all(both)).toEqual(["one", "one"]);
    expect(await flight.run("a", () => Promise.resolve(1))).toBe(1);
  });
});

describe("heartbeat", () => {
  const listening = (): { time: VirtualTime; told: string[]; heartbeat: Heartbeat } => {
    const time = new VirtualTime();
    const told: string[] = [];
    const heartbeat = new Heartbeat(time, () => told.push(`ask ${time.now()}`), () => told.push(`lost ${time.now()}`));
    return { time, told, heartbeat };
  };

  test("it asks after twenty seconds of silence and gives up ten seconds later", async () => {
    const { time, told } = listening();
    expect([QUIET_MS, PONG_MS]).toEqual([20_000, 10_000]);
    await time.pass(100_000);
    expect(told).toEqual(["ask 20000", "lost 30000"]);
    expect(time.pending).toBe(0);
  });

  test("whoever is heard is not asked; an answer is enough to go on", async () => {
    const { time, told, heartbeat } = listening();
    for (let second = 0; second < 60; second += 15) {
      await time.pass(15_000);
      heartbeat.heard();
    }
    expect(told).toEqual([]);
    await time.pass(25_000);
    heartbeat.heard();
    await time.pass(5_000);
    expect(told).toEqual(["ask 80000"]);
    await time.pass(60_000);
    expect(told).toEqual(["ask 80000", "ask 105000", "lost 115000"]);
  });

  test("once stopped it has no timer", () => {
    const { time, heartbeat } = listening();
    heartbeat.stop();
    expect(time.pending).toBe(0);
  });
});

test("a wait for work ends with the signal; the work goes on", async () => {
  const stop = new AbortController();
  let done = false;
  const work = settle().then(() => (done = true));
  const waiting = failure(unlessAborted(work, stop.signal));
  stop.abort("enough");
  expect(await waiting).toBe("enough");
  await work;
  expect(done).toBe(true);
});
