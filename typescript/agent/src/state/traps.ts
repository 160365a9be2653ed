/** What the proxies of arrays and objects have in common. */

import { StateValueError } from "./errors.ts";
import { type Node, pathOf, segment } from "./node.ts";

/** Whether a property so described is one that assignment makes: a plain value that can be changed again. */
export function isPlainValue(described: PropertyDescriptor): boolean {
  const { configurable = true, enumerable = true, writable = true } = described;
  return "value" in described && configurable && enumerable && writable;
}

/** Says that `key` of `node` can't be what `Object.defineProperty` describes. */
export function refuseDefinition(node: Node, key: string | symbol): never {
  throw new StateValueError(pathOf(node) + segment(String(key)), "JSON can't hold accessors, hidden or constant members");
}

/** Says that `node` can't be frozen. */
export function refuseFreezing(node: Node): never {
  throw new StateValueError(pathOf(node), "a part of the state can't be frozen, sealed or given another prototype");
}

/** Says that a symbol can't be a key. */
export function refuseSymbol(node: Node, key: symbol): never {
  throw new StateValueError(pathOf(node), `keys must be strings, got the symbol ${String(key)}`);
}
