"""REST as data: endpoints are values; the application, its document and its server are made from them."""

from podium.base.http.app import (
    Authenticator as Authenticator,
    HttpApp as HttpApp,
    problem_answer as problem_answer,
    request_id_of as request_id_of,
)
from podium.base.http.call import (
    Answer as Answer,
    Call as Call,
    ClientGoneError as ClientGoneError,
    Headers as Headers,
    Streamed as Streamed,
    event_stream as event_stream,
    streamed_events as streamed_events,
)
from podium.base.http.endpoint import (
    ANY_KEY as ANY_KEY,
    CLUSTER as CLUSTER,
    EVENT_STREAM as EVENT_STREAM,
    HTML as HTML,
    PLAIN_TEXT as PLAIN_TEXT,
    PUBLIC as PUBLIC,
    Access as Access,
    Endpoint as Endpoint,
    HeaderParam as HeaderParam,
    Media as Media,
    Multipart as Multipart,
    Param as Param,
)
from podium.base.http.identity import (
    NOBODY as NOBODY,
    ClusterAuthenticator as ClusterAuthenticator,
    Identity as Identity,
    bearer_of as bearer_of,
    cluster_headers as cluster_headers,
)
from podium.base.http.openapi import (
    Documented as Documented,
    Info as Info,
    openapi as openapi,
)
from podium.base.http.page import docs_page as docs_page
from podium.base.http.server import (
    HttpServer as HttpServer,
    Upgrade as Upgrade,
    UpgradeFactory as UpgradeFactory,
)
from podium.base.http.sse import SseEvent as SseEvent, encode_sse as encode_sse
