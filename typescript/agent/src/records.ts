/** What agents tell the coordinator, and get from it, as plain records. */

/** What a model call cost. */
export interface Usage {
  readonly provider?: string;
  readonly inputTokens?: number;
  readonly outputTokens?: number;
  readonly cachedTokens?: number;
  /** Millionths of a dollar. */
  readonly costMicroDollars?: number;
}

/** One entry of the conversation; metadata of the message is beside these. */
export interface ConversationEntry {
  readonly role: string;
  readonly text: string;
  readonly [member: string]: unknown;
}

/** One change of a path of the workspace. */
export interface FileVersion {
  readonly iteration: number;
  readonly path: string;
  /** `create`, `modify`, `delete`, `rename`, … */
  readonly kind: string;
  /** `size`, `hash`, `mode`, `timestamp`, `from`, `turn_id`, where there are such. */
  readonly [member: string]: unknown;
}
