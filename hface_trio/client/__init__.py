"""The client: requests in, responses out, connections kept between them."""

from ._client import Client, open_client
from ._connect import connect
from ._exchange import Content, Exchange
from ._response import Response
from ._url import RequestURL, request_headers

__all__ = ["Client", "Content", "Exchange", "RequestURL", "Response", "connect", "open_client", "request_headers"]
