"""An RTSP camera for tests: serves a file's H.264 and AAC tracks at rtsp://HOST:PORT/camera, in real time.

Usage: rtsp_server.py HOST PORT FILE      (prints "ready" once it listens; ends with its parent or on SIGTERM)
"""

import sys

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer  # noqa: E402

host, port, path = sys.argv[1:]
Gst.init(None)
server = GstRtspServer.RTSPServer()
server.set_address(host)
server.set_service(port)
factory = GstRtspServer.RTSPMediaFactory()
factory.set_launch(
    f'( filesrc location="{path}" ! qtdemux name=d '
    "d.video_0 ! queue ! h264parse ! rtph264pay name=pay0 pt=96 config-interval=1 "
    "d.audio_0 ! queue ! aacparse ! rtpmp4gpay name=pay1 pt=97 )"
)
# A camera is one picture for all that look at it. But one that can't be reached would hold up all others here, as no camera
# does; so where networks are cut each has its own.
factory.set_shared(host == "127.0.0.1")
server.get_mount_points().add_factory("/camera", factory)
if server.attach(None) == 0:
    sys.exit(f"port {port} is taken")
print("ready", flush=True)
GLib.MainLoop().run()
