"""The coordinator's routes as values. It is no public interface: all but `/health` need the cluster's credential; `/metrics`
takes another one as well."""

from typing import Any

from podium.base.http import CLUSTER, EVENT_STREAM, METRICS, PLAIN_TEXT, PUBLIC, Endpoint, Param
from podium.coordinator.api.conversations import Conversations
from podium.coordinator.api.host import Host
from podium.coordinator.api.instances import Instances
from podium.coordinator.api.queries import EventsQuery, LogsQuery, PageQuery, RequestsQuery, SendQuery, StateQuery
from podium.coordinator.api.reads import Reads
from podium.wire import rest
from podium.wire.commands import ConfigContent
from podium.wire.errors import ErrorCode

INSTANCE = Param(str, ErrorCode.INSTANCE_NOT_FOUND)


def endpoints(host: Host, instances: Instances, conversations: Conversations, reads: Reads) -> list[Endpoint]:
    """All routes but the WebSocket."""
    return [*_host(host), *_instances(instances), *_conversations(conversations), *_reads(reads)]


def _host(host: Host) -> list[Endpoint]:
    return [
        Endpoint(
            method="GET", path="/health", handler=host.get_health, summary="Alive", access=PUBLIC,
            answers={200: rest.Health},
        ),
        Endpoint(
            method="GET", path="/ready", handler=host.get_ready, summary="Ready", access=CLUSTER,
            answers={200: rest.Ready, 503: rest.Ready},
        ),
        Endpoint(
            method="GET", path="/metrics", handler=host.get_metrics, summary="Metrics", access=METRICS,
            answers={200: PLAIN_TEXT},
        ),
        Endpoint(
            method="GET", path="/admin/status", handler=host.get_status, summary="How the host is", access=CLUSTER,
            answers={200: dict[str, Any]},
        ),
        Endpoint(
            method="POST", path="/admin/drain", handler=host.drain, summary="Take no more instances", access=CLUSTER,
            answers={202: None},
        ),
    ]  # fmt: skip


def _instances(instances: Instances) -> list[Endpoint]:
    return [
        Endpoint(
            method="POST", path="/deploy/agent", handler=instances.prepare_deployment,
            summary="Prepare a deployment in the background", access=CLUSTER, body=rest.DeployRequest,
            answers={202: None},
        ),
        Endpoint(
            method="POST", path="/instances", handler=instances.create_instance, summary="Create an instance",
            access=CLUSTER, body=rest.CoordinatorCreate, answers={201: rest.Instance, 200: rest.Instance},
        ),
        Endpoint(
            method="GET", path="/agent/{instance_id}/info", handler=instances.get_instance, summary="An instance",
            access=CLUSTER, params={"instance_id": INSTANCE}, answers={200: rest.InstanceInfo},
        ),
        Endpoint(
            method="DELETE", path="/agent/{instance_id}", handler=instances.stop_instance, summary="Stop an instance",
            access=CLUSTER, params={"instance_id": INSTANCE}, answers={204: None},
        ),
        Endpoint(
            method="POST", path="/agents/{agent_id}/adopt", handler=instances.adopt_agent,
            summary="Go on with an agent of another host", access=CLUSTER, body=rest.Adopt,
            params={"agent_id": Param(rest.AgentId, ErrorCode.AGENT_NOT_FOUND)}, answers={200: rest.Instance},
        ),
        Endpoint(
            method="POST", path="/agents/{agent_id}/bring", handler=instances.bring_agent,
            summary="Bring the data of an agent here that is not alive", access=CLUSTER,
            params={"agent_id": Param(rest.AgentId, ErrorCode.AGENT_NOT_FOUND)}, answers={204: None},
        ),
        Endpoint(
            method="DELETE", path="/agents/{agent_id}", handler=instances.remove_agent, summary="Erase an agent",
            access=CLUSTER, params={"agent_id": Param(rest.AgentId, ErrorCode.AGENT_NOT_FOUND)}, answers={204: None},
        ),
    ]  # fmt: skip


def _conversations(conversations: Conversations) -> list[Endpoint]:
    instance = {"instance_id": INSTANCE}
    return [
        Endpoint(
            method="POST", path="/agent/{instance_id}/messages", handler=conversations.send_message,
            summary="Send a message", access=CLUSTER, params=instance, query=SendQuery, body=rest.MessageSend,
            answers={202: rest.MessageAccepted, 200: (rest.TurnResult, EVENT_STREAM)},
        ),
        Endpoint(
            method="POST", path="/agent/{instance_id}/turns/{turn_id}/cancel", handler=conversations.cancel_turn,
            summary="End a turn", access=CLUSTER,
            params={**instance, "turn_id": Param(str, ErrorCode.TURN_NOT_FOUND)}, answers={202: None},
        ),
        Endpoint(
            method="POST", path="/agent/{instance_id}/requests/{request_id}", handler=conversations.answer_request,
            summary="Answer a question or permission", access=CLUSTER, body=rest.RequestAnswer,
            params={**instance, "request_id": Param(str, ErrorCode.REQUEST_NOT_FOUND)},
            answers={200: rest.PendingRequest},
        ),
        Endpoint(
            method="POST", path="/agent/{instance_id}/config", handler=conversations.update_config,
            summary="Change the configuration", access=CLUSTER, params=instance, body=ConfigContent,
            answers={200: dict[str, Any]},
        ),
    ]  # fmt: skip


def _reads(reads: Reads) -> list[Endpoint]:
    instance = {"instance_id": INSTANCE}
    return [
        Endpoint(
            method="GET", path="/agent/{instance_id}/messages", handler=reads.list_messages, summary="Conversation",
            access=CLUSTER, params=instance, query=PageQuery, answers={200: rest.Page[rest.ConversationMessage]},
        ),
        Endpoint(
            method="GET", path="/agent/{instance_id}/events", handler=reads.list_events, summary="Journal",
            access=CLUSTER, params=instance, query=EventsQuery,
            answers={200: (rest.Page[rest.JournalEvent], EVENT_STREAM)},
        ),
        Endpoint(
            method="GET", path="/agent/{instance_id}/logs", handler=reads.read_logs, summary="Log", access=CLUSTER,
            params=instance, query=LogsQuery, answers={200: (rest.LogPage, EVENT_STREAM)},
        ),
        Endpoint(
            method="GET", path="/agent/{instance_id}/state", handler=reads.read_state, summary="State",
            access=CLUSTER, params=instance, query=StateQuery, answers={200: rest.StateView},
        ),
        Endpoint(
            method="GET", path="/agent/{instance_id}/requests", handler=reads.list_requests,
            summary="Questions and permissions", access=CLUSTER, params=instance, query=RequestsQuery,
            answers={200: rest.Page[rest.PendingRequest]},
        ),
    ]  # fmt: skip
