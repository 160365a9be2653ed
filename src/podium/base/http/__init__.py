"""REST as data: endpoints are values; the application, its document and its server are made from them."""

from podium.base.http.app import (
    Authenticator as Authenticator,
)
from podium.base.http.app import (
    HttpApp as HttpApp,
)
from podium.base.http.app import (
    problem_answer as problem_answer,
)
from podium.base.http.app import (
    request_id_of as request_id_of,
)
from podium.base.http.call import (
    Answer as Answer,
)
from podium.base.http.call import (
    Call as Call,
)
from podium.base.http.call import (
    ClientGoneError as ClientGoneError,
)
from podium.base.http.call import (
    Headers as Headers,
)
from podium.base.http.call import (
    Streamed as Streamed,
)
from podium.base.http.call import (
    event_stream as event_stream,
)
from podium.base.http.call import (
    streamed_events as streamed_events,
)
from podium.base.http.endpoint import (
    ANY_KEY as ANY_KEY,
)
from podium.base.http.endpoint import (
    CLUSTER as CLUSTER,
)
from podium.base.http.endpoint import (
    EVENT_STREAM as EVENT_STREAM,
)
from podium.base.http.endpoint import (
    HTML as HTML,
)
from podium.base.http.endpoint import (
    PLAIN_TEXT as PLAIN_TEXT,
)
from podium.base.http.endpoint import (
    PUBLIC as PUBLIC,
)
from podium.base.http.endpoint import (
    Access as Access,
)
from podium.base.http.endpoint import (
    Endpoint as Endpoint,
)
from podium.base.http.endpoint import (
    HeaderParam as HeaderParam,
)
from podium.base.http.endpoint import (
    Media as Media,
)
from podium.base.http.endpoint import (
    Multipart as Multipart,
)
from podium.base.http.endpoint import (
    Param as Param,
)
from podium.base.http.identity import (
    NOBODY as NOBODY,
)
from podium.base.http.identity import (
    ClusterAuthenticator as ClusterAuthenticator,
)
from podium.base.http.identity import (
    Identity as Identity,
)
from podium.base.http.identity import (
    bearer_of as bearer_of,
)
from podium.base.http.identity import (
    cluster_headers as cluster_headers,
)
from podium.base.http.openapi import (
    Documented as Documented,
)
from podium.base.http.openapi import (
    Info as Info,
)
from podium.base.http.openapi import (
    openapi as openapi,
)
from podium.base.http.page import docs_page as docs_page
from podium.base.http.server import (
    HttpServer as HttpServer,
)
from podium.base.http.server import (
    Upgrade as Upgrade,
)
from podium.base.http.server import (
    UpgradeFactory as UpgradeFactory,
)
from podium.base.http.sse import SseEvent as SseEvent
from podium.base.http.sse import encode_sse as encode_sse
