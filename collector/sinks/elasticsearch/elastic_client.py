"""The client for Elasticsearch: Elastic's own library, which minds media types, product and the pool of hosts.

Its transport gets a node of ours (``BaseAsyncNode`` is its promise for that), so that replies are bounded
and stay bytes: a proxy's page keeps its status, and orjson reads what Elasticsearch says. It knows no bulk.
"""

from __future__ import annotations

import logging
from typing import Any

from elastic_transport import (
    ApiResponseMeta,
    BaseAsyncNode,
    HttpHeaders,
    NodeConfig,
    Serializer,
    TransportError,
)
from elastic_transport import ConnectionError as NodeFailure
from elastic_transport._node import NodeApiResponse  # what BaseAsyncNode answers; exported nowhere else
from elastic_transport.client_utils import DEFAULT, DefaultType, url_to_node_config
from elasticsearch import ApiError, AsyncElasticsearch, UnsupportedProductError

from collector.sinks.elasticsearch.clients import Access, Media, NoAnswer, Reply
from collector.sinks.elasticsearch.wire import Wire

_BYTES = "application/x-wef-bytes"
"""The type under which replies pass through the library: nothing is decoded but by us."""

# What the library says through logging (a host failed) is said by us, once; without this it would go to stderr.
for _name in ("elastic_transport", "elasticsearch"):
    logging.getLogger(_name).addHandler(logging.NullHandler())


class _AsBytes(Serializer):
    """Bytes in, bytes out."""

    def dumps(self, data: Any) -> bytes:
        assert isinstance(data, bytes)
        return data

    def loads(self, data: bytes) -> bytes:
        return data


def _node_class(wire: Wire) -> type[BaseAsyncNode]:
    class Node(BaseAsyncNode):
        """A host of the pool; all share one wire, which also knows the credentials."""

        _CLIENT_META_HTTP_CLIENT = ("ai", "")

        async def perform_request(  # type: ignore[override]
            self,
            method: str,
            target: str,
            body: bytes | None = None,
            headers: HttpHeaders | None = None,
            request_timeout: DefaultType | float | None = DEFAULT,
        ) -> NodeApiResponse:
            try:
                reply = await wire.send(method, self.base_url, target, body, dict(headers or {}))
            except NoAnswer as error:
                raise NodeFailure(str(error), errors=(error,)) from error
            # No "warning": a stranger's words shall not become Python warnings.
            passed = HttpHeaders({**reply.headers, "content-type": _BYTES})
            return NodeApiResponse(ApiResponseMeta(reply.status, "1.1", passed, 0.0, self.config), reply.body)

        async def close(self) -> None:  # type: ignore[override]
            await wire.close()

    return Node


class ElasticClient:
    """Requests through ``AsyncElasticsearch``: no sniffing, no retries, one request to one host."""

    def __init__(self, access: Access) -> None:
        self.hosts = len(access.hosts)
        kinds = ("application/vnd.elasticsearch+json", "application/vnd.elasticsearch+x-ndjson")
        self._client = AsyncElasticsearch(
            [_node(host) for host in access.hosts],
            node_class=_node_class(Wire(access)),
            serializers={kind: _AsBytes() for kind in (_BYTES, *kinds)},
            max_retries=0,
            retry_on_timeout=False,
            meta_header=False,
        )

    async def request(self, method: str, path: str, body: bytes | None = None, media: Media = "json") -> Reply:
        headers = {"accept": "application/json"}
        if body is not None:
            headers["content-type"] = f"application/{media}"
        try:
            response = await self._client.perform_request(method, path, headers=headers, body=body)
        except UnsupportedProductError as error:
            text = f"{_address(error.meta)}: what answers does not say that it is Elasticsearch;"
            raise NoAnswer(f'{text} for OpenSearch write product = "opensearch"', blocked=True) from error
        except ApiError as error:
            return _reply(error.meta, error.body)
        except TransportError as error:
            cause = error.__cause__
            raise NoAnswer(error.message, blocked=isinstance(cause, NoAnswer) and cause.blocked) from error
        return _reply(response.meta, response.body)

    async def close(self) -> None:
        await self._client.close()


def _node(host: str) -> NodeConfig:
    return url_to_node_config(host, use_default_ports_for_scheme=True)


def _address(meta: ApiResponseMeta) -> str:
    node = meta.node
    return f"{node.scheme}://{node.host}:{node.port}{node.path_prefix}"


def _reply(meta: ApiResponseMeta, body: Any) -> Reply:
    return Reply(meta.status, body if isinstance(body, bytes) else b"", dict(meta.headers), _address(meta))
