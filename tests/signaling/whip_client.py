"""A WHIP client that nobody here wrote the media half of: aiortc's RTCPeerConnection behind plain HTTP."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urljoin

import aiohttp
from aiortc import (
    AudioStreamTrack,
    RTCBundlePolicy,
    RTCConfiguration,
    RTCPeerConnection,
    RTCSessionDescription,
    VideoStreamTrack,
)

OFFER = "application/sdp"
FRAGMENT = "application/trickle-ice-sdpfrag"


@dataclass
class Told:
    """One answer of the server, read whole."""

    status: int
    headers: Any
    text: str
    code: str | None


@dataclass
class WhipClient:
    """One program that publishes sound and pictures.

    Args:
        endpoint: the URL to POST to.
        token: shown as bearer; empty to show none.
    """

    http: aiohttp.ClientSession
    endpoint: str
    token: str
    connection: RTCPeerConnection = field(init=False)
    resource: str = ""
    etag: str = ""
    offer: str = ""

    def __post_init__(self) -> None:
        self.connection = RTCPeerConnection(
            RTCConfiguration(iceServers=[], bundlePolicy=RTCBundlePolicy.MAX_BUNDLE)
        )

    async def ask(
        self,
        method: str,
        url: str,
        body: str | None = None,
        kind: str | None = None,
        **headers: str,
    ) -> Told:
        """Any request."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if self.token:
            sent.setdefault("Authorization", f"Bearer {self.token}")
        if kind is not None:
            sent["Content-Type"] = kind
        data = None if body is None else body.encode()
        async with self.http.request(method, url, data=data, headers=sent) as response:
            text = await response.text()
            problem = response.content_type == "application/problem+json"
            code = (await response.json(content_type=None))["code"] if problem else None
            return Told(response.status, response.headers.copy(), text, code)

    async def prepare(self) -> str:
        """The offer, with sound and pictures to send."""
        if not self.offer:
            self.connection.addTransceiver(AudioStreamTrack(), direction="sendonly")
            self.connection.addTransceiver(VideoStreamTrack(), direction="sendonly")
            await self.connection.setLocalDescription(await self.connection.createOffer())
            self.offer = self.connection.localDescription.sdp
        return self.offer

    async def post(self, offer: str | None = None, kind: str = OFFER) -> Told:
        """Offer; connect when it is answered."""
        told = await self.ask("POST", self.endpoint, offer or await self.prepare(), kind)
        if told.status == 201:
            self.resource, self.etag = urljoin(self.endpoint, told.headers["Location"]), told.headers["ETag"]
            if offer is None:
                answer = RTCSessionDescription(sdp=told.text, type="answer")
                await self.connection.setRemoteDescription(answer)
        return told

    async def patch(self, fragment: str, if_match: str | None, kind: str = FRAGMENT) -> Told:
        """Tell candidates, or restart ICE."""
        more = {} if if_match is None else {"If_Match": if_match}
        return await self.ask("PATCH", self.resource, fragment, kind, **more)

    async def delete(self) -> Told:
        """Leave."""
        return await self.ask("DELETE", self.resource)

    async def close(self) -> None:
        """Vanish without a word over HTTP."""
        await self.connection.close()
