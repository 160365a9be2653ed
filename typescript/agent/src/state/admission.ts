/**
 * A value on its way into a state: checked, copied into nodes, and only then part of the state.
 *
 * Nothing is changed before everything is known to be right: an admission that throws leaves the state, the value and
 * the nodes that would have been replaced as they were.
 */

import { COPY_IT, StateAliasError, StateValueError } from "./errors.ts";
import type { Journal } from "./journal.ts";
import type { Json } from "./json.ts";
import { attached, journalOf, type Kind, type Node, nodeOf, pathOf, segment } from "./node.ts";
import { checkedKey, checkedScalar, isSimple, type Scalar, stored, TOO_LARGE, tooLarge } from "./scalars.ts";
import { declaredAs, KIND_NAMES, type Shape } from "./shapes.ts";

/** A value nested deeper is refused: JSON readers give up at depths like this. */
export const DEPTH_MAX = 200;

type Maker = (inner: Shape | null) => Node;
type Key = string | number;

const makers = new Map<Kind, Maker>();

/** Makes a kind of node known: `make(shape of its elements)` gives an empty one. */
export function register(kind: Kind, make: Maker): void {
  makers.set(kind, make);
}

/** What is stored, as JSON: a scalar itself, of a container a copy. */
export function jsonOf(value: unknown): Json {
  const node = nodeOf(value);
  return node === undefined ? (value as Scalar) : node.snapshot();
}

/**
 * What to store for `value`, which will stand at `key` of `holder` where `old` was, and its JSON. A message calls the place `at`.
 *
 * @throws StateError as `Admission.take`.
 */
export function admit(
  holder: Node,
  value: unknown,
  key: Key,
  shape: Shape | null,
  old: unknown,
  at?: string,
): readonly [unknown, Json] {
  const flat = shape === null && nodeOf(old) === undefined ? admitFlat(holder, value, key) : null;
  if (flat !== null) return flat;
  const admission = new Admission(holder, [old]);
  const taken = admission.take(value, key, shape, at);
  return [taken, admission.finish([taken])[0] as Json];
}

/** What an `Admission` does, without its bookkeeping, for a container of simple scalars: the record an agent appends most. */
function admitFlat(holder: Node, value: unknown, key: Key): readonly [unknown, Json] | null {
  const kind = kindOf(value);
  if ((kind !== "array" && kind !== "record") || nodeOf(value) !== undefined) return null;
  const journal = journalOf(holder);
  if (journal?.madeFrom(value as object) !== undefined) return null;
  const copy = flatCopy(value as object, kind);
  if (copy === null || tooLarge(copy)) return null;
  const node = made(kind, null, holder, key);
  if (Array.isArray(copy)) for (const item of copy) node.put("", item);
  else for (const name in copy) node.put(name, copy[name]);
  journal?.rememberSource(value as object, node);
  return [node.face, copy];
}

/** A copy of a container that holds nothing but simple scalars; null of another. */
function flatCopy(value: object, kind: "array" | "record"): Scalar[] | Record<string, Scalar> | null {
  if (kind === "array") return Array.from(value as unknown[]).every(isSimple) ? Array.from(value as Scalar[], stored) : null;
  const copy: Record<string, Scalar> = {};
  for (const name of Object.keys(value)) {
    const item = (value as Record<string, unknown>)[name];
    if (!isSimple(item) || name === "__proto__" || !name.isWellFormed()) return null;
    copy[name] = stored(item);
  }
  return Object.getOwnPropertySymbols(value).length === 0 ? copy : null;
}

function made(kind: Kind, inner: Shape | null, parent: Node, key: Key): Node {
  const node = (makers.get(kind) as Maker)(inner);
  node.parent = parent;
  node.key = typeof key === "string" ? segment(key) : key;
  return node;
}

/** One change that brings values into the tree below `holder`; `freed` are the values that leave. `take` each, then `finish`. */
export class Admission {
  readonly #holder: Node;
  readonly #journal: Journal | null;
  readonly #base: string;
  readonly #freed: Node[] = [];
  readonly #seen = new Map<object, string>();
  readonly #open = new Set<object>();
  readonly #moves: (readonly [Node, Node, Key, Shape | null])[] = [];
  readonly #sources: (readonly [object, Node])[] = [];

  constructor(holder: Node, freed: Iterable<unknown>) {
    this.#holder = holder;
    this.#journal = journalOf(holder);
    this.#base = pathOf(holder);
    for (const value of freed) {
      const node = nodeOf(value);
      if (node?.parent !== holder) continue;
      this.#freed.push(node);
      node.parent = null;
    }
  }

  /**
   * What to store for `value`, which will stand at `key` of the holder; a message calls the place `at`.
   *
   * @throws StateValueError JSON can't hold it, or the place is declared for something else.
   * @throws StateAliasError it is or contains a container that is part of a state already, or of itself.
   */
  take(value: unknown, key: Key, shape: Shape | null, at: string = segment(key)): unknown {
    try {
      return this.#value(value, { path: this.#base + at, parent: this.#holder, key, shape }, 1);
    } catch (error) {
      this.#undo();
      throw error;
    }
  }

  /** Makes it true: what was taken belongs to the tree from here on. Gives the JSON of each. */
  finish(taken: readonly unknown[]): Json[] {
    const values = taken.map(jsonOf);
    if (values.some(tooLarge)) {
      this.#undo();
      throw new StateValueError(this.#base, TOO_LARGE);
    }
    this.commit();
    return values;
  }

  /** The same, without the JSON. */
  commit(): void {
    for (const [node, parent, key, inner] of this.#moves) {
      node.parent = parent;
      node.key = typeof key === "string" ? segment(key) : key;
      if (node.kind !== "object") node.inner = inner;
    }
    if (this.#journal === null) return;
    for (const [source, node] of this.#sources) this.#journal.rememberSource(source, node);
  }

  #undo(): void {
    for (const node of this.#freed) node.parent = this.#holder;
  }

  #value(value: unknown, place: Place, depth: number): unknown {
    const { path, shape } = place;
    const node = nodeOf(value);
    const kind = node?.kind ?? kindOf(value);
    if (kind === null || typeof value !== "object" || value === null) {
      const scalar = checkedScalar(value, () => path);
      if (shape === null || scalar === null) return scalar;
      throw new StateValueError(path, `is declared as ${declaredAs(shape)}, got a ${typeof scalar}`);
    }
    this.#refuseKnown(value, node, path);
    checkKind(kind, value, place);
    if (depth > DEPTH_MAX) throw new StateValueError(path, `nested deeper than ${DEPTH_MAX} levels`);
    this.#enter(value, path);
    if (node !== undefined) this.#claim(node, place, depth);
    const face = node === undefined ? this.#made(kind, value, place, depth) : node.face;
    this.#open.delete(value);
    return face;
  }

  #refuseKnown(value: object, node: Node | undefined, path: string): void {
    if (node !== undefined && attached(node)) {
      throw new StateAliasError(path, `the same ${node.kind} is already at ${pathOf(node) || "/"}; ${COPY_IT}`);
    }
    const known = node === undefined ? this.#journal?.madeFrom(value) : undefined;
    if (known === undefined) return;
    if (attached(known)) {
      throw new StateAliasError(path, `the same container was put at ${pathOf(known)} before; ${COPY_IT}`);
    }
    this.#see(known.face, path);
  }

  #enter(value: object, path: string): void {
    if (this.#open.has(value)) throw new StateAliasError(path, "it would contain itself");
    this.#see(value, path);
    this.#open.add(value);
  }

  #see(value: object, path: string): void {
    const other = this.#seen.get(value);
    if (other !== undefined) throw new StateAliasError(path, `the same container is also at ${other}; ${COPY_IT}`);
    this.#seen.set(value, path);
  }

  #made(kind: Kind, value: object, place: Place, depth: number): object {
    const { path, parent, key, shape } = place;
    const inner = shape?.inner ?? null;
    const node = made(kind, inner, parent, key);
    this.#sources.push([value, node]);
    for (const [name, item] of contents(kind, value)) {
      if (typeof name !== "number") checkedKey(name, () => path);
      if (inner === null && isSimple(item)) node.put(name, stored(item));
      else if (item === undefined && kind === "record") continue;
      else {
        const at = kind === "set" ? path : path + segment(name);
        if (kind === "set") node.put(name, checkedElement(item, path));
        else node.put(name, this.#value(item, { path: at, parent: node, key: name, shape: inner }, depth + 1));
      }
    }
    return node.face;
  }

  /** A node that comes in whole. Its scalars were checked when they came there. */
  #claim(node: Node, place: Place, depth: number): void {
    for (let above: Node | null = this.#holder; above !== null; above = above.parent) {
      if (above === node) throw new StateAliasError(place.path, "it would contain itself");
    }
    const inner = place.shape?.inner ?? null;
    this.#moves.push([node, place.parent, place.key, inner]);
    if (node.kind === "set") return;
    for (const [name, item] of node.pairs()) {
      if (typeof item !== "object" || item === null) continue;
      const shape = node.kind === "object" ? node.shapeAt(name) : inner;
      this.#value(item, { path: place.path + segment(name), parent: node, key: name, shape }, depth + 1);
    }
  }
}

/** Where a value will stand: its JSON Pointer, its parent and key, and what the place is declared to hold. */
interface Place {
  readonly path: string;
  readonly parent: Node;
  readonly key: Key;
  readonly shape: Shape | null;
}

/** @throws StateValueError an element of the set at `path` is no scalar. */
export function checkedElement(value: unknown, path: string): Scalar {
  if (kindOf(value) === null) return checkedScalar(value, () => path);
  throw new StateValueError(path, "elements of a Set must be strings, numbers, booleans or null");
}

/** What kind of node a plain value becomes; null when it is no container. */
function kindOf(value: unknown): Kind | null {
  if (typeof value !== "object" || value === null) return null;
  if (Array.isArray(value)) return "array";
  if (value instanceof Map) return "map";
  if (value instanceof Set) return "set";
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === null || Object.getPrototypeOf(prototype) === null ? "record" : null;
}

function contents(kind: Kind, value: object): Iterable<readonly [Key, unknown]> {
  if (kind === "array") return Array.prototype.entries.call(value);
  if (kind === "map") return value as Map<string, unknown>;
  if (kind === "set") return Array.from(value as Set<unknown>).entries();
  const symbols = Object.getOwnPropertySymbols(value).map((symbol) => [symbol, undefined] as never);
  return symbols.length === 0 ? Object.entries(value) : symbols;
}

function checkKind(kind: Kind, value: object, { path, shape }: Place): void {
  const wanted = shape?.kind;
  if (shape?.model != null && !(value instanceof shape.model)) {
    throw new StateValueError(path, `is declared as ${shape.model.name}, got ${KIND_NAMES[kind]}`);
  }
  if (kind === wanted || !(special(kind) || (wanted !== undefined && special(wanted)))) return;
  if (shape !== null) throw new StateValueError(path, `is declared as ${declaredAs(shape)}, got ${KIND_NAMES[kind]}`);
  throw new StateValueError(
    path,
    kind === "object"
      ? `make ${value.constructor.name} the initial value of a field (or arrayOf, recordOf, mapOf), so that it comes back as one`
      : `${KIND_NAMES[kind]} is stored as ${kind === "set" ? "an array" : "an object"}: give the field one as its initial ` +
        "value (or arrayOf, recordOf, mapOf), so that it comes back",
  );
}

function special(kind: Kind): boolean {
  return kind === "set" || kind === "map" || kind === "object";
}
