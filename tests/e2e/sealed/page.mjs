// A page with the product's Peer and Keys and nothing else; the test is its server.
//
// What the test switches off, it switches off here, in the platform around the product: see `weaken`.

const { Peer } = await import("/static/js/peer.js");
const { Keys } = await import("/static/js/keys.js");

const page = { peer: null, keys: null, sent: [], sentAt: [], opened: [], states: [], clear: 0, troubles: 0, camera: null, answer: null };
window.page = page;

/** Colours of the camera's picture before its first frame; never black. */
function camera() {
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [320, 240];
  const context = canvas.getContext("2d");
  let frame = 0;
  const draw = () => {
    frame += 1;
    context.fillStyle = `hsl(${(frame * 3) % 360} 90% 60%)`;
    context.fillRect(0, 0, 320, 240);
    context.fillStyle = "#fff";
    context.fillRect((frame * 7) % 300, 100, 20, 40);
  };
  draw();
  setInterval(draw, 50);
  return canvas.captureStream().getVideoTracks()[0];
}

/** Take defences away, by name, for the tests that show what one of them does alone. */
window.weaken = (names) => {
  const off = new Set(names);
  if (off.has("flag")) {
    const Real = window.RTCPeerConnection;
    window.RTCPeerConnection = class extends Real {
      constructor({ encodedInsertableStreams: _, ...configuration } = {}) {
        super(configuration);
      }
    };
  }
  if (off.has("same-task")) {
    const { set } = Object.getOwnPropertyDescriptor(RTCRtpSender.prototype, "transform");
    Object.defineProperty(RTCRtpSender.prototype, "transform", {
      set(transform) {
        setTimeout(() => set.call(this, transform), 300);
      },
    });
  }
  if (off.has("transform")) Object.defineProperty(RTCRtpSender.prototype, "transform", { set() {} });
  if (off.has("proof")) {
    const { sealer } = Keys.prototype;
    Keys.prototype.sealer = function (mid, context, onFirst) {
      queueMicrotask(onFirst);
      return sealer.call(this, mid, context, onFirst);
    };
    const { getStats } = RTCRtpSender.prototype;
    RTCRtpSender.prototype.getStats = async function () {
      const report = new Map(await getStats.call(this));
      for (const [id, entry] of report) if (entry.type === "outbound-rtp") report.set(id, { ...entry, packetsSent: entry.packetsSent + 1 });
      if (![...report.values()].some(({ type }) => type === "outbound-rtp")) report.set("made up", { type: "outbound-rtp", kind: "video", packetsSent: 1 });
      return report;
    };
  }
  if (off.has("watchdog")) {
    const { counts } = Keys.prototype;
    Keys.prototype.counts = async function () {
      const real = await counts.call(this);
      return Object.fromEntries(Object.entries(real).map(([id, of]) => [id, { ...of, seen: 1e9 }]));
    };
  }
};

window.begin = async ({ seat, sealed }) => {
  const [microphone] = (await navigator.mediaDevices.getUserMedia({ audio: true })).getAudioTracks();
  page.camera = camera();
  page.keys = sealed
    ? new Keys({
        meeting: "meeting",
        me: { pid: seat, name: seat },
        mayCommit: true,
        keys: { psk: new Uint8Array(64), kpKey: new Uint8Array(32) },
        send: (message) => {
          page.sent.push(message);
          page.sentAt.push(performance.timeOrigin + performance.now());
          void window.say?.(message);
        },
        ask: async (message) => {
          await window.say?.(message);
          return { code: null };
        },
        onState: () => {
          page.states.push({ ...page.keys.state, sends: page.keys.sends });
          page.peer.setOpen(page.keys.sends);
        },
        onOpened: (group, seat, payload, epoch) => page.opened.push([group, seat, [...payload], epoch]),
        onMissed: () => {},
      })
    : null;
  page.keys?.inside([..."ABCDEFGHIJKLMNOPQRSTUVWXYZ"]); // everybody is shown; who is in is for the test to say
  page.peer = new Peer({
    onAnswer: (sdp) => page.answer?.(sdp),
    onTrouble: () => (page.troubles += 1),
    onState: () => {},
    onTracks: show,
    onClear: () => (page.clear += 1),
  });
  page.peer.protect(page.keys);
  await page.peer.setLocal("audio", microphone);
  await page.peer.setLocal("camera", page.camera);
};

window.take = (sdp, restart) =>
  new Promise((resolve) => {
    page.answer = resolve;
    if (restart) {
      page.peer.doubt(); // a restart that nobody needs is not begun
      page.peer.reassure();
    }
    void page.peer.offer({ type: "offer", sdp, restart });
  });

/** What the server says of a group. */
window.told = (message) => page.keys.receive(message);

/** Say to the group's session what its ring is to do. */
window.dictate = (steps) => page.keys.receive({ type: "dictate", group: "room", steps });

function show() {
  document.body.textContent = "";
  for (const slot of [0, 1, 2]) {
    const { audio, video } = page.peer.slot(slot);
    for (const [kind, stream] of [["audio", audio], ["video", video]]) {
      if (stream === null) continue;
      const element = document.createElement(kind);
      element.autoplay = true;
      element.muted = kind === "video";
      element.id = `${kind}-${slot}`;
      element.srcObject = stream;
      document.body.append(element);
    }
  }
}

/** Mean brightness, 0 to 255, of what is seen in a slot; null while nothing is. */
window.brightness = (slot) => {
  const video = document.getElementById(`video-${slot}`);
  if (!video?.videoWidth) return null;
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = 8;
  const context = canvas.getContext("2d");
  context.drawImage(video, 0, 0, 8, 8);
  const { data } = context.getImageData(0, 0, 8, 8);
  return [...data].filter((_, at) => at % 4 !== 3).reduce((sum, value) => sum + value, 0) / (8 * 8 * 3);
};

/** What the current connection carried, by mid. */
window.figures = async () => {
  const found = {};
  const pc = window.connections.at(-1);
  for (const entry of (await pc.getStats()).values()) {
    if (entry.type === "inbound-rtp") {
      found[entry.mid] = {
        packets: entry.packetsReceived,
        frames: entry.framesDecoded ?? 0,
        energy: entry.totalAudioEnergy ?? 0,
        concealed: (entry.concealedSamples ?? 0) - (entry.silentConcealedSamples ?? 0),
        plis: entry.pliCount ?? 0,
        samples: entry.totalSamplesReceived ?? 0,
        allConcealed: entry.concealedSamples ?? 0,
      };
    }
    if (entry.type === "outbound-rtp") found[entry.mid] = { packets: entry.packetsSent, encoded: entry.framesEncoded ?? 0 };
  }
  return found;
};

window.sends = () => {
  const pc = window.connections.at(-1);
  return pc.getTransceivers().slice(0, 3).map(({ sender }) => (sender.track === null ? null : sender.track === page.camera ? "camera" : "other"));
};

/** How long the page takes to commit after it was told this, in milliseconds, and when it was told. */
window.commitAfter = async (message) => {
  const { length } = page.sent;
  const told = performance.timeOrigin + performance.now();
  window.told(message);
  for (;;) {
    const at = page.sent.findIndex(({ type }, number) => number >= length && type === "commit");
    if (at >= 0) return { took: page.sentAt[at] - told, told };
    await new Promise((resolve) => setTimeout(resolve));
  }
};

/** When a frame was opened last, once none has been for a second; milliseconds since the epoch. */
window.lastOpened = async () => {
  let [last, opened] = [performance.timeOrigin + performance.now(), -1];
  while (performance.timeOrigin + performance.now() - last < 1_000) {
    const now = Object.values(await page.keys.counts()).reduce((sum, of) => sum + (of.opened ?? 0), 0);
    if (now > opened) [last, opened] = [performance.timeOrigin + performance.now(), now];
    await new Promise((resolve) => setTimeout(resolve));
  }
  return last;
};
