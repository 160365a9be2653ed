/** The stored state becomes an object of the author's class, migrated when it is older. */

import type { StateClass } from "./agent.ts";
import { errorMessage, errorName, MigrationError } from "./errors.ts";
import type { Outbox } from "./outbox.ts";
import { type DeltaState, type Json, track } from "./state/index.ts";
import type { Init } from "./wire/link.ts";

/** A state whose changes are sent. */
export interface TrackedState {
  /** The author's object. */
  readonly state: DeltaState;
  /** The whole of it as JSON values. */
  toJSON(): unknown;
}

/**
 * The state of an instance, its changes followed by `outbox`.
 *
 * A new agent's first state and the result of a migration are sent whole. Fields the stored state lacks take their
 * defaults, as a change.
 *
 * @throws MigrationError the stored state is of a newer class, its migration failed, or it does not fit the class.
 */
export function hydrated(model: StateClass, init: Init, outbox: Outbox): TrackedState {
  const { data, replaced } = stored(model, init);
  let tracked: ReturnType<typeof track<DeltaState>>;
  try {
    tracked = track(model, data, () => outbox.stateChanged());
  } catch (error) {
    throw new MigrationError(`the stored state does not fit ${model.name}: ${errorMessage(error)}`, { cause: error });
  }
  if (replaced) {
    tracked.take(); // what is sent whole needs no operations
    const version = init.state_version + 1;
    outbox.send({ type: "state_replaced", version, state_schema: model.version, data: tracked.toJSON() });
    outbox.follow(tracked, version);
  } else {
    outbox.follow(tracked, init.state_version);
    outbox.stateChanged(); // the defaults of new fields, if there are any
  }
  return tracked;
}

/** The data to start from, and whether they are other than what is stored. */
function stored(model: StateClass, init: Init): { data: Record<string, Json> | null; replaced: boolean } {
  if (init.state === null) return { data: null, replaced: true };
  const schema = init.state_schema ?? model.version;
  if (schema > model.version) {
    throw new MigrationError(
      `the stored state has version ${schema}, ${model.name} has ${model.version}: deploy the newer code`,
    );
  }
  if (schema === model.version) return { data: init.state as Record<string, Json>, replaced: false };
  let migrated: unknown;
  try {
    migrated = model.migrate(structuredClone(init.state) as Record<string, Json>, schema);
  } catch (error) {
    const why = `${errorName(error)}: ${errorMessage(error)}`;
    throw new MigrationError(`migrating from version ${schema} failed: ${why}`, { cause: error });
  }
  if (migrated === null || typeof migrated !== "object" || Array.isArray(migrated) || migrated instanceof Promise) {
    throw new MigrationError(`${model.name}.migrate must return an object`);
  }
  return { data: migrated as Record<string, Json>, replaced: true };
}
