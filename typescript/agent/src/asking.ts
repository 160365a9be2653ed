/** Questions and permissions: what may be written for them, and what comes back. */

import { AgentUsageError, errorMessage } from "./errors.ts";
import { converted } from "./schema.ts";
import type { ApprovalResolved, PermissionOption, Question } from "./wire/events.ts";
import type { AnswerRequest } from "./wire/link.ts";
import { EVENT_DEFINITIONS } from "./wire/schemas.ts";

/** How a question or permission was resolved. */
export type Outcome = ApprovalResolved["outcome"];

/** What an option of a permission means. */
export type PermissionKind = PermissionOption["kind"];

/** An option as authors write it: in full, with a kind and what differs from its default, or just a kind. */
export type OptionLike =
  | PermissionKind
  | { readonly kind: PermissionKind; readonly option_id?: string; readonly name?: string };

/** A question as authors write it: a text, or with choices. */
export type QuestionLike =
  | string
  | {
      readonly question: string;
      readonly id?: string;
      readonly options?: readonly string[];
      readonly multiple?: boolean;
    };

/** The option that was taken. As a text it is its id. */
export interface ChosenOption {
  /** Its id; empty when none was taken (dismissed, cancelled, no default at the deadline). */
  readonly optionId: string;
  /** Whether it allows the act. */
  readonly granted: boolean;
  /** What it means; null when none was taken. */
  readonly kind: PermissionKind | null;
  /** As people read it; empty when none was taken. */
  readonly name: string;
  /** How it came to this. */
  readonly outcome: Outcome;
  /** Its id. */
  toString(): string;
}

/** Answers to questions. */
export interface Answers {
  /** How it came to this: `answered`, or why there are none. */
  readonly outcome: Outcome;
  /** Answers by question id; empty when there are none. */
  readonly answers: Readonly<Record<string, unknown>>;
}

/** How a person is asked. */
export interface AskOptions<Default> {
  /** After so many milliseconds `default` is taken; for ever when absent. */
  readonly timeoutMs?: number;
  /** What is taken when nobody answers in time; nothing when absent. */
  readonly default?: Default;
}

/** How leave is asked for. `default` is an option's id. */
export interface PermissionOptions extends AskOptions<string> {
  /** What may be chosen; *Allow* and *Reject*, once, when absent. */
  readonly options?: readonly OptionLike[];
  /** The call it is about. */
  readonly toolCallId?: string;
}

const NAMES: Readonly<Record<PermissionKind, string>> = {
  allow_once: "Allow",
  allow_always: "Always allow",
  reject_once: "Reject",
  reject_always: "Always reject",
};

/** What a permission offers when nothing else is given. */
const DEFAULT_OPTIONS: readonly OptionLike[] = ["allow_once", "reject_once"];

/** What an `answer` frame means for a permission that offered `options`. */
export function chosen(answer: AnswerRequest, options: readonly PermissionOption[]): ChosenOption {
  const taken = options.find((option) => option.option_id === answer.option_id);
  const optionId = taken?.option_id ?? "";
  return {
    optionId,
    granted: taken?.kind.startsWith("allow") === true,
    kind: taken?.kind ?? null,
    name: taken?.name ?? "",
    outcome: answer.outcome as Outcome,
    toString: () => optionId,
  };
}

/** What an `answer` frame means for questions. */
export function answered(answer: AnswerRequest): Answers {
  return { outcome: answer.outcome as Outcome, answers: answer.answers ?? {} };
}

/**
 * Options as they travel.
 *
 * @throws AgentUsageError one is none, there are none, or two have the same id.
 */
export function readOptions(options: readonly OptionLike[] = DEFAULT_OPTIONS): PermissionOption[] {
  const read = options.map((option) => {
    const { kind, ...rest } = typeof option === "string" ? { kind: option } : option;
    return fitting<PermissionOption>({ option_id: kind, name: NAMES[kind] ?? kind, kind, ...rest }, "PermissionOption");
  });
  if (read.length === 0 || new Set(read.map((option) => option.option_id)).size !== read.length) {
    throw new AgentUsageError("a permission needs options, each with an option_id of its own");
  }
  return read;
}

/**
 * Questions as they travel; ids are `q1`, `q2`, … if absent.
 *
 * @throws AgentUsageError one is none, there are none, or two have the same id.
 */
export function readQuestions(questions: QuestionLike | readonly QuestionLike[]): Question[] {
  const given = Array.isArray(questions) ? (questions as readonly QuestionLike[]) : [questions as QuestionLike];
  const read = given.map((question, index) => {
    const written = typeof question === "string" ? { question } : question;
    return fitting<Question>({ id: `q${index + 1}`, ...written }, "Question");
  });
  if (read.length === 0 || new Set(read.map((question) => question.id)).size !== read.length) {
    throw new AgentUsageError("ask needs questions, each with an id of its own");
  }
  return read;
}

function fitting<T>(value: unknown, definition: string): T {
  try {
    return converted(value, { $ref: `#/$defs/${definition}` }, EVENT_DEFINITIONS) as T;
  } catch (error) {
    throw new AgentUsageError(`${definition}: ${errorMessage(error)}`, { cause: error });
  }
}
