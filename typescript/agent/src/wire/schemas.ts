// Made by tools/generate_typescript.py from spec/schema and src/podium/wire; do not edit.

import type { Schema } from "../schema.ts";

/** Event an agent may emit → schema of its content. */
export const EVENT_SCHEMAS: Readonly<Record<string, Schema>> = {
  "error": {"$ref": "#/$defs/ErrorContent"},
  "plan.updated": {"$ref": "#/$defs/PlanUpdated"},
  "stream_end": {"$ref": "#/$defs/StreamEnd"},
  "stream_start": {"$ref": "#/$defs/StreamStart"},
  "stream_update": {"$ref": "#/$defs/Text"},
  "terminal.complete": {"$ref": "#/$defs/TerminalComplete"},
  "terminal.stream": {"$ref": "#/$defs/TerminalStream"},
  "thinking.complete": {"$ref": "#/$defs/Empty"},
  "thinking.progress": {"$ref": "#/$defs/Text"},
  "thinking.start": {"$ref": "#/$defs/Empty"},
  "tool.call": {"$ref": "#/$defs/ToolCall"},
  "tool.call_delta": {"$ref": "#/$defs/ToolCallDelta"},
  "tool.call_start": {"$ref": "#/$defs/ToolCallStart"},
  "tool.error": {"$ref": "#/$defs/ToolError"},
  "tool.permission_requested": {"$ref": "#/$defs/PermissionRequested"},
  "tool.question_requested": {"$ref": "#/$defs/QuestionRequested"},
  "tool.result": {"$ref": "#/$defs/ToolResult"},
  "usage.context": {"$ref": "#/$defs/UsageContext"},
  "usage.update": {"$ref": "#/$defs/UsageUpdate"},
};

/** What schemas of events refer to. */
export const EVENT_DEFINITIONS: Readonly<Record<string, Schema>> = {
  "Empty": {"type": "object", "properties": {}, "required": []},
  "ErrorContent": {"type": "object", "properties": {"code": {"type": "string"}, "message": {"type": "string"}, "retryable": {"type": "boolean"}}, "required": ["code", "message", "retryable"]},
  "PermissionOption": {"type": "object", "properties": {"option_id": {"type": "string"}, "name": {"type": "string"}, "kind": {"enum": ["allow_always", "allow_once", "reject_always", "reject_once"]}}, "required": ["option_id", "name", "kind"]},
  "PermissionRequested": {"type": "object", "properties": {"request_id": {"type": "string"}, "tool_name": {"type": "string"}, "options": {"type": "array", "items": {"$ref": "#/$defs/PermissionOption"}}, "tool_call_id": {"anyOf": [{"type": "string"}, {"type": "null"}], "default": null}, "arguments": {"default": null}, "expires_at": {"anyOf": [{"type": "integer"}, {"type": "null"}], "default": null}, "default": {"anyOf": [{"type": "string"}, {"type": "null"}], "default": null}}, "required": ["request_id", "tool_name", "options"]},
  "PlanEntry": {"type": "object", "properties": {"content": {"type": "string"}, "status": {"enum": ["completed", "in_progress", "pending"]}, "priority": {"anyOf": [{"enum": ["high", "low", "medium"]}, {"type": "null"}], "default": null}}, "required": ["content", "status"]},
  "PlanUpdated": {"type": "object", "properties": {"entries": {"type": "array", "items": {"$ref": "#/$defs/PlanEntry"}}}, "required": ["entries"]},
  "Question": {"type": "object", "properties": {"id": {"type": "string"}, "question": {"type": "string"}, "options": {"anyOf": [{"type": "array", "items": {"type": "string"}}, {"type": "null"}], "default": null}, "multiple": {"type": "boolean", "default": false}}, "required": ["id", "question"]},
  "QuestionRequested": {"type": "object", "properties": {"request_id": {"type": "string"}, "questions": {"type": "array", "items": {"$ref": "#/$defs/Question"}}, "expires_at": {"anyOf": [{"type": "integer"}, {"type": "null"}], "default": null}, "default": {"anyOf": [{"type": "object"}, {"type": "null"}], "default": null}}, "required": ["request_id", "questions"]},
  "StreamEnd": {"type": "object", "properties": {"text": {"type": "string"}, "stop_reason": {"enum": ["cancelled", "end_turn", "error", "max_tokens", "refusal"]}}, "required": ["text", "stop_reason"]},
  "StreamStart": {"type": "object", "properties": {"message_id": {"type": "string"}, "attempt": {"type": "integer"}}, "required": ["message_id", "attempt"]},
  "TerminalComplete": {"type": "object", "properties": {"terminal_id": {"type": "string"}, "exit_code": {"anyOf": [{"type": "integer"}, {"type": "null"}]}, "signal": {"anyOf": [{"type": "string"}, {"type": "null"}], "default": null}}, "required": ["terminal_id", "exit_code"]},
  "TerminalStream": {"type": "object", "properties": {"terminal_id": {"type": "string"}, "stream": {"enum": ["stderr", "stdout"]}, "data": {"type": "string"}, "command": {"anyOf": [{"type": "string"}, {"type": "null"}], "default": null}}, "required": ["terminal_id", "stream", "data"]},
  "Text": {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]},
  "ToolCall": {"type": "object", "properties": {"tool_call_id": {"type": "string"}, "tool_name": {"type": "string"}, "arguments": {}, "locations": {"anyOf": [{"type": "array", "items": {"type": "object"}}, {"type": "null"}], "default": null}}, "required": ["tool_call_id", "tool_name", "arguments"]},
  "ToolCallDelta": {"type": "object", "properties": {"tool_call_id": {"type": "string"}, "arguments_delta": {"type": "string"}}, "required": ["tool_call_id", "arguments_delta"]},
  "ToolCallStart": {"type": "object", "properties": {"tool_call_id": {"type": "string"}, "tool_name": {"type": "string"}, "title": {"anyOf": [{"type": "string"}, {"type": "null"}], "default": null}, "kind": {"anyOf": [{"type": "string"}, {"type": "null"}], "default": null}}, "required": ["tool_call_id", "tool_name"]},
  "ToolError": {"type": "object", "properties": {"tool_call_id": {"type": "string"}, "tool_name": {"type": "string"}, "message": {"type": "string"}}, "required": ["tool_call_id", "tool_name", "message"]},
  "ToolResult": {"type": "object", "properties": {"tool_call_id": {"type": "string"}, "tool_name": {"type": "string"}, "result": {}}, "required": ["tool_call_id", "tool_name", "result"]},
  "UsageContext": {"type": "object", "properties": {"total_tokens": {"type": "integer"}, "max_tokens": {"type": "integer"}, "percent_used": {"type": "number"}}, "required": ["total_tokens", "max_tokens", "percent_used"]},
  "UsageUpdate": {"type": "object", "properties": {"model": {"type": "string"}, "provider": {"type": "string"}, "input_tokens": {"type": "integer"}, "output_tokens": {"type": "integer"}, "cached_tokens": {"type": "integer"}, "cost_micro_dollars": {"type": "integer"}}, "required": ["model", "provider", "input_tokens", "output_tokens", "cached_tokens", "cost_micro_dollars"]},
};

/** Frame to the agent → its schema. */
export const FRAME_SCHEMAS: Readonly<Record<string, Schema>> = {
  "init": {"$ref": "#/$defs/Init"},
  "message": {"$ref": "#/$defs/Message"},
  "steer": {"$ref": "#/$defs/SteerTurn"},
  "cancel": {"$ref": "#/$defs/CancelTurn"},
  "answer": {"$ref": "#/$defs/AnswerRequest"},
  "config_update": {"$ref": "#/$defs/ConfigChanged"},
  "idle_check": {"$ref": "#/$defs/IdleCheck"},
  "shutdown": {"$ref": "#/$defs/Shutdown"},
  "ping": {"$ref": "#/$defs/LinkPing"},
  "response": {"$ref": "#/$defs/Response"},
};

/** What schemas of frames refer to. */
export const FRAME_DEFINITIONS: Readonly<Record<string, Schema>> = {
  "AnswerRequest": {"type": "object", "properties": {"type": {"enum": ["answer"]}, "request_id": {"type": "string"}, "outcome": {"type": "string"}, "option_id": {"anyOf": [{"type": "string"}, {"type": "null"}], "default": null}, "answers": {"anyOf": [{"type": "object"}, {"type": "null"}], "default": null}}, "required": ["type", "request_id", "outcome"]},
  "CancelTurn": {"type": "object", "properties": {"type": {"enum": ["cancel"]}, "turn_id": {"type": "string"}}, "required": ["type", "turn_id"]},
  "ConfigChanged": {"type": "object", "properties": {"type": {"enum": ["config_update"]}, "changes": {"type": "object"}, "config": {"type": "object"}, "source": {"type": "string"}}, "required": ["type", "changes", "config", "source"]},
  "IdleCheck": {"type": "object", "properties": {"type": {"enum": ["idle_check"]}}, "required": ["type"]},
  "Init": {"type": "object", "properties": {"type": {"enum": ["init"]}, "protocol": {"type": "integer"}, "agent_id": {"type": "string"}, "instance_id": {"type": "string"}, "agent_type": {"type": "string"}, "deployment_id": {"type": "string"}, "workspace": {"type": "string"}, "config": {"type": "object"}, "secrets": {"type": "object", "additionalProperties": {"type": "string"}}, "state": {"anyOf": [{"type": "object"}, {"type": "null"}]}, "state_version": {"type": "integer"}, "state_schema": {"anyOf": [{"type": "integer"}, {"type": "null"}]}, "turn": {"anyOf": [{"$ref": "#/$defs/TurnInfo"}, {"type": "null"}], "default": null}}, "required": ["type", "protocol", "agent_id", "instance_id", "agent_type", "deployment_id", "workspace", "config", "secrets", "state", "state_version", "state_schema"]},
  "LinkPing": {"type": "object", "properties": {"type": {"enum": ["ping"]}, "nonce": {"type": "integer"}}, "required": ["type", "nonce"]},
  "Message": {"type": "object", "properties": {"type": {"enum": ["message"]}, "id": {"type": "string"}, "turn_id": {"type": "string"}, "data": {"type": "object"}, "origin": {"$ref": "#/$defs/Origin"}, "attempt": {"type": "integer"}, "traceparent": {"type": "string", "default": ""}}, "required": ["type", "id", "turn_id", "data", "origin", "attempt"]},
  "Origin": {"type": "object", "properties": {"tenant_id": {"type": "string"}, "role": {"type": "string", "default": "user"}, "channel": {"type": "string", "default": "stream"}}, "required": ["tenant_id"]},
  "Response": {"type": "object", "properties": {"type": {"enum": ["response"]}, "id": {"type": "integer"}, "result": {"default": null}, "error": {"anyOf": [{"type": "string"}, {"type": "null"}], "default": null}}, "required": ["type", "id"]},
  "Shutdown": {"type": "object", "properties": {"type": {"enum": ["shutdown"]}, "reason": {"type": "string"}}, "required": ["type", "reason"]},
  "SteerTurn": {"type": "object", "properties": {"type": {"enum": ["steer"]}, "turn_id": {"type": "string"}, "text": {"type": "string"}}, "required": ["type", "turn_id", "text"]},
  "TurnInfo": {"type": "object", "properties": {"id": {"type": "string"}, "attempt": {"type": "integer"}, "message_id": {"type": "string"}}, "required": ["id", "attempt", "message_id"]},
};
