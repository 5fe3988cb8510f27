"""GStreamer publishes by WHIP: its own pipeline, encoders, ICE, DTLS and SRTP; only HTTP is ours.

    /usr/bin/python3 gstreamer_whip.py ENDPOINT TOKEN VP8|H264
    /usr/bin/python3 gstreamer_whip.py                            is all there that it needs?

Run by Debian's Python, which has the bindings. Debian 12 has neither ``whipsink`` nor ``whipclientsink``, and
its ``simple-whip-client`` does not start: it and libnice want two versions of libsoup in one process.
"""

from __future__ import annotations

import json
import sys
import time
import urllib.error
import urllib.request

import gi  # type: ignore[import-not-found]  # Debian's own package, for Debian's own Python

for library in ("Gst", "GstWebRTC", "GstSdp"):
    gi.require_version(library, "1.0")

from gi.repository import Gst, GstSdp, GstWebRTC  # type: ignore[import-not-found]  # as above  # noqa: E402

NEEDED = ("webrtcbin", "nicesrc", "dtlssrtpenc", "srtpenc", "opusenc", "vp8enc", "x264enc", "rtph264pay")
PIPELINE = """
  webrtcbin name=out bundle-policy=max-bundle
  videotestsrc is-live=true pattern=ball ! video/x-raw,width=320,height=240,framerate=15/1 ! {pictures} !
    queue ! out.
  audiotestsrc is-live=true wave=ticks ! audioconvert ! audioresample ! opusenc ! rtpopuspay pt=100 !
    application/x-rtp,media=audio,encoding-name=OPUS,payload=100 ! queue ! out.
"""
PICTURES = {
    "VP8": "vp8enc deadline=1 keyframe-max-dist=30 ! rtpvp8pay pt=101 picture-id-mode=2 ! "
    "application/x-rtp,media=video,encoding-name=VP8,payload=101",
    "H264": "x264enc tune=zerolatency key-int-max=30 ! video/x-h264,profile=constrained-baseline ! "
    "rtph264pay pt=101 config-interval=-1 aggregate-mode=zero-latency ! application/x-rtp,media=video,"
    "encoding-name=H264,payload=101",
}


def post(endpoint: str, token: str, offer: str) -> str:
    """Ask until the answer comes."""
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/sdp"}
    while True:
        request = urllib.request.Request(endpoint, offer.encode(), headers, method="POST")
        try:
            with urllib.request.urlopen(request) as answer:
                return str(answer.read().decode())
        except urllib.error.HTTPError as refused:
            print(refused.code, json.loads(refused.read())["code"], flush=True)
            if refused.code != 403:
                raise
            time.sleep(1)


def main(endpoint: str, token: str, codec: str) -> None:
    """Publish until killed."""
    pipeline = Gst.parse_launch(PIPELINE.format(pictures=PICTURES[codec]))
    out = pipeline.get_by_name("out")
    pipeline.set_state(Gst.State.PLAYING)
    # The payloaders tell the SSRCs with the first packets, and the offer is to announce them.
    while any(pad.get_current_caps() is None for pad in out.sinkpads):
        time.sleep(0.05)
    for index in range(2):
        direction = GstWebRTC.WebRTCRTPTransceiverDirection.SENDONLY
        out.emit("get-transceiver", index).set_property("direction", direction)
    promise = Gst.Promise.new()
    out.emit("create-offer", None, promise)
    promise.wait()
    reply = promise.get_reply()  # what it holds lives as long as this
    out.emit("set-local-description", reply.get_value("offer"), None)
    while out.get_property("ice-gathering-state") != GstWebRTC.WebRTCICEGatheringState.COMPLETE:
        time.sleep(0.05)
    offer = out.get_property("local-description").sdp.as_text()
    print(offer, flush=True)
    _, answer = GstSdp.SDPMessage.new_from_text(post(endpoint, token, offer))
    described = GstWebRTC.WebRTCSessionDescription.new(GstWebRTC.WebRTCSDPType.ANSWER, answer)
    out.emit("set-remote-description", described, None)
    failed = pipeline.get_bus().timed_pop_filtered(Gst.CLOCK_TIME_NONE, Gst.MessageType.ERROR)
    sys.exit(str(failed.parse_error()))


if __name__ == "__main__":
    Gst.init(None)
    if len(sys.argv) > 1:
        main(*sys.argv[1:])
    sys.exit(", ".join(name for name in NEEDED if Gst.ElementFactory.find(name) is None) or 0)
