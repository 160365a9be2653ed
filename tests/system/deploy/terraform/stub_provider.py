"""A provider of Terraform that answers for AWS: the real schema, invented results, nothing outside of this process.

    python stub_provider.py SCHEMA SOCKET

prints, when it serves, the value of `TF_REATTACH_PROVIDERS` that makes Terraform use it as hashicorp/aws. It runs in the
environment of `tools/set_up_deploy_tools.sh`, not in the project's: it needs grpcio and the package `tf`.

It speaks protocol 6 of plugins. The package `tf` brings that protocol without write-only arguments and ephemeral resources,
which keep passwords out of state files; both are added to its description below, with the protocol's own numbers.
"""

import json
import os
import sys
import uuid
from collections.abc import Callable, Iterator
from concurrent import futures
from typing import Any, Final

import grpc
import msgpack
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from tf.gen import tfplugin_pb2

ADDRESS: Final = "registry.terraform.io/hashicorp/aws"
UNKNOWN: Final = msgpack.ExtType(0, b"\0")
"""A value that is known after apply."""

NESTING: Final = {"single": 1, "list": 2, "set": 3}
ACCOUNT: Final = "000000000000"
KNOWN: Final[dict[str, dict[str, Any]]] = {
    "aws_availability_zones": {"names": ["eu-central-1a", "eu-central-1b", "eu-central-1c"]},
    "aws_caller_identity": {"account_id": ACCOUNT},
    "aws_region": {"region": "eu-central-1", "name": "eu-central-1"},
    "aws_partition": {"partition": "aws", "dns_suffix": "amazonaws.com"},
    "aws_secretsmanager_random_password": {"random_password": "drawn-password"},
    "aws_secretsmanager_secret_version": {"secret_string": "drawn-password"},
}
"""What is found; the rest is invented. The tests look for the passwords where they must not be."""

PROVIDER: Final = {
    "attributes": {"region": {"type": "string", "optional": True}, "profile": {"type": "string", "optional": True}},
    "block_types": {
        "default_tags": {
            "nesting": "list", "min": 0, "max": 1,
            "block": {"attributes": {"tags": {"type": ["map", "string"], "optional": True}}, "block_types": {}},
        },
    },
}  # fmt: skip


# ── the protocol, with what the package lacks ────────────────────────────────────────────────────────────────


def _messages() -> dict[str, Any]:
    """Classes of the protocol's messages, by their full names without the package."""
    file = descriptor_pb2.FileDescriptorProto.FromString(tfplugin_pb2.DESCRIPTOR.serialized_pb)
    file.name = "tfplugin6-with-ephemeral.proto"
    top = {message.name: message for message in file.message_type}
    attribute = next(nested for nested in top["Schema"].nested_type if nested.name == "Attribute")
    _add(attribute, "write_only", 11, descriptor_pb2.FieldDescriptorProto.TYPE_BOOL)
    response = next(nested for nested in top["GetProviderSchema"].nested_type if nested.name == "Response")
    _add_map(response, "ephemeral_resource_schemas", 8, f".{file.package}.Schema")
    dynamic = f".{file.package}.DynamicValue"
    for name, results in (("ValidateEphemeralResourceConfig", False), ("OpenEphemeralResource", True)):
        message = file.message_type.add(name=name)
        request = message.nested_type.add(name="Request")
        _add(request, "type_name", 1, descriptor_pb2.FieldDescriptorProto.TYPE_STRING)
        _add(request, "config", 2, descriptor_pb2.FieldDescriptorProto.TYPE_MESSAGE, dynamic)
        answer = message.nested_type.add(name="Response")
        if results:
            _add(answer, "result", 3, descriptor_pb2.FieldDescriptorProto.TYPE_MESSAGE, dynamic)
    message = file.message_type.add(name="CloseEphemeralResource")
    message.nested_type.add(name="Request")
    message.nested_type.add(name="Response")
    del file.service[:]
    pool = descriptor_pool.DescriptorPool()
    for dependency in tfplugin_pb2.DESCRIPTOR.dependencies:
        pool.AddSerializedFile(dependency.serialized_pb)
    pool.Add(file)
    made = pool.FindFileByName(file.name)
    return dict(_classes(made.message_types_by_name.values()))


def _add(message: Any, name: str, number: int, kind: Any, of: str = "", *, repeated: bool = False) -> None:
    field = message.field.add(name=name, number=number, type=kind, label=3 if repeated else 1)
    if of:
        field.type_name = of


def _add_map(message: Any, name: str, number: int, of: str) -> None:
    entry_name = "".join(word.capitalize() for word in name.split("_")) + "Entry"
    entry = message.nested_type.add(name=entry_name)
    entry.options.map_entry = True
    _add(entry, "key", 1, descriptor_pb2.FieldDescriptorProto.TYPE_STRING)
    _add(entry, "value", 2, descriptor_pb2.FieldDescriptorProto.TYPE_MESSAGE, of)
    kind = descriptor_pb2.FieldDescriptorProto.TYPE_MESSAGE
    _add(message, name, number, kind, f".tfplugin6.GetProviderSchema.Response.{entry_name}", repeated=True)


def _classes(descriptors: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    for descriptor in descriptors:
        name = prefix + descriptor.name
        yield name, message_factory.GetMessageClass(descriptor)
        yield from _classes(descriptor.nested_types, name + ".")


MESSAGES: Final = _messages()


# ── schema and values ────────────────────────────────────────────────────────────────────────────────────────


def schema(block: dict[str, Any]) -> Any:
    """A block's schema as a message."""
    return MESSAGES["Schema"](version=0, block=_block(block))


def _block(block: dict[str, Any]) -> Any:
    attributes = [
        MESSAGES["Schema.Attribute"](name=name, **{**flags, "type": json.dumps(flags["type"]).encode()})
        for name, flags in sorted(block["attributes"].items())
    ]
    nested = [
        MESSAGES["Schema.NestedBlock"](
            type_name=name,
            block=_block(found["block"]),
            nesting=NESTING[found["nesting"]],
            min_items=0 if found["nesting"] == "single" else found["min"],
            max_items=0 if found["nesting"] == "single" else found["max"],
        )
        for name, found in sorted(block["block_types"].items())
    ]
    return MESSAGES["Schema.Block"](version=0, attributes=attributes, block_types=nested)


def decoded(value: Any) -> Any:
    """What a dynamic value holds."""
    if value.msgpack:
        return msgpack.unpackb(value.msgpack, raw=False, strict_map_key=False)
    return json.loads(value.json) if value.json else None


def encoded(value: Any) -> Any:
    """A dynamic value."""
    return MESSAGES["DynamicValue"](msgpack=msgpack.packb(value))


def invented(kind: Any, type_name: str, attribute: str, of: str) -> Any:
    """A value the cloud would have made for the resource that is described by the text `of`: another one for another resource."""
    if kind == "string":
        short = uuid.uuid5(uuid.NAMESPACE_URL, type_name + attribute + of).hex[:8]
        name = type_name.removeprefix("aws_")
        return f"arn:aws:{name}:eu-central-1:{ACCOUNT}:{short}" if attribute.endswith("arn") else f"{name}-{short}"
    if kind == "number":
        return 0
    if kind == "bool":
        return False
    if kind[0] == "object":
        return {name: invented(inner, type_name, name, of) for name, inner in kind[1].items()}
    if kind[0] == "list" and isinstance(kind[1], list):
        return [invented(kind[1], type_name, attribute, of)]
    return {} if kind[0] == "map" else []


class Answers:
    """What the provider says to each request."""

    def __init__(self, known: dict[str, dict[str, Any]]) -> None:
        self._known = known

    def GetProviderSchema(self, _request: Any) -> Any:
        kinds = {"resource": "resource", "data": "data_source", "ephemeral": "ephemeral_resource"}
        schemas = {
            f"{word}_schemas": {name: schema(block) for name, block in self._known[kind].items()}
            for kind, word in kinds.items()
        }
        return MESSAGES["GetProviderSchema.Response"](provider=schema(PROVIDER), **schemas)

    def UpgradeResourceState(self, request: Any) -> Any:
        state = encoded(json.loads(request.raw_state.json))
        return MESSAGES["UpgradeResourceState.Response"](upgraded_state=state)

    def ReadResource(self, request: Any) -> Any:
        return MESSAGES["ReadResource.Response"](new_state=request.current_state)

    def PlanResourceChange(self, request: Any) -> Any:
        planned, prior = decoded(request.proposed_new_state), decoded(request.prior_state)
        for name, flags in self._attributes("resource", request.type_name, planned):
            if flags.get("write_only"):
                planned[name] = None
            elif flags.get("computed") and planned.get(name) is None and prior is None:
                planned[name] = UNKNOWN
        return MESSAGES["PlanResourceChange.Response"](planned_state=encoded(planned))

    def ApplyResourceChange(self, request: Any) -> Any:
        state = decoded(request.planned_state)
        of = repr(state)
        for name, flags in self._attributes("resource", request.type_name, state):
            if isinstance(state.get(name), msgpack.ExtType):
                state[name] = invented(flags["type"], request.type_name, name, of)
        return MESSAGES["ApplyResourceChange.Response"](new_state=encoded(state))

    def ReadDataSource(self, request: Any) -> Any:
        state = self._found("data", request)
        return MESSAGES["ReadDataSource.Response"](state=encoded(state))

    def OpenEphemeralResource(self, request: Any) -> Any:
        return MESSAGES["OpenEphemeralResource.Response"](result=encoded(self._found("ephemeral", request)))

    def _found(self, kind: str, request: Any) -> Any:
        value = decoded(request.config)
        for name, flags in self._attributes(kind, request.type_name, value):
            if value.get(name) is None and flags.get("computed"):
                known = KNOWN.get(request.type_name, {})
                value[name] = known.get(name, invented(flags["type"], request.type_name, name, repr(value)))
        return value

    def _attributes(self, kind: str, type_name: str, value: Any) -> list[tuple[str, dict[str, Any]]]:
        return list(self._known[kind][type_name]["attributes"].items()) if value is not None else []


def handlers(answers: Answers) -> Iterator[tuple[str, Any]]:
    """All methods of the protocol that Terraform calls; those without an answer of their own agree with everything."""
    for name in MESSAGES:
        # Terraform falls back from GetMetadata, which this has not, to GetProviderSchema, which tells more.
        if f"{name}.Request" in MESSAGES and name != "GetMetadata":
            yield name, _handler(name, getattr(answers, name, None))


def _handler(name: str, answer: Callable[[Any], Any] | None) -> Any:
    def handle(request: Any, _context: Any) -> Any:
        return answer(request) if answer is not None else MESSAGES[f"{name}.Response"]()

    return grpc.unary_unary_rpc_method_handler(
        handle,
        request_deserializer=MESSAGES[f"{name}.Request"].FromString,
        response_serializer=MESSAGES[f"{name}.Response"].SerializeToString,
    )


def main(schema_path: str, socket_path: str) -> None:
    """Serves until it is ended."""
    with open(schema_path) as file:
        answers = Answers(json.load(file))
    server = grpc.server(futures.ThreadPoolExecutor(8), options=[("grpc.max_send_message_length", 1 << 28)])
    server.add_generic_rpc_handlers(
        [grpc.method_handlers_generic_handler("tfplugin6.Provider", dict(handlers(answers)))]
    )
    server.add_insecure_port(f"unix:{socket_path}")
    server.start()
    reattach = {
        "Protocol": "grpc", "ProtocolVersion": 6, "Pid": os.getpid(), "Test": True,
        "Addr": {"Network": "unix", "String": socket_path},
    }  # fmt: skip
    print(json.dumps({ADDRESS: reattach}), flush=True)
    server.wait_for_termination()


if __name__ == "__main__":
    main(*sys.argv[1:])
