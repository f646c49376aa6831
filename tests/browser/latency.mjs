// From the capture of a picture to its display: the stamp that each frame carries against the moment when Chromium shows it. Both
// clocks are this machine's.

/** To be run in the page before its own scripts: it reads along what the player is sent. */
export function readAlong() {
  const UUID = [0x72, 0x65, 0x67, 0x69, 0x61, 0x2d, 0x73, 0x74, 0xa1, 0x6d, 0x70, 0x2d, 0x76, 0x31, 0x0f, 0x5e];
  const unescaped = (bytes) => {
    const out = [];
    let zeros = 0;
    for (const byte of bytes) {
      if (zeros >= 2 && byte === 3) {
        zeros = 0;
        continue;
      }
      zeros = byte === 0 ? zeros + 1 : 0;
      out.push(byte);
    }
    return out;
  };
  /** When the picture was captured, in milliseconds since 1970. */
  const stamp = (unit) => {
    for (let at = 0; at + 5 < unit.length; ) {
      const length = ((unit[at] << 24) | (unit[at + 1] << 16) | (unit[at + 2] << 8) | unit[at + 3]) >>> 0;
      const nal = unit.subarray(at + 4, at + 4 + length);
      if ((nal[0] & 0x1f) === 6 && nal[1] === 5) {
        const body = unescaped(nal.subarray(3));
        if (UUID.every((byte, n) => body[n] === byte)) {
          let us = 0n;
          for (let n = 24; n < 32; n += 1) us = (us << 8n) | BigInt(body[n]);
          return Number(us) / 1_000;
        }
      }
      at += 4 + length;
    }
    return null;
  };
  const wall = () => performance.timeOrigin + performance.now();
  class Along extends WebSocket {
    constructor(url, protocols) {
      super(url, protocols);
      if (!String(url).includes('programme.flv')) return;
      // Times of one player: pictures by their presentation, and what the player counts from.
      const told = { pictures: [], base: null };
      window.flv = told;
      let rest = new Uint8Array(0);
      let header = true;
      this.addEventListener('message', (event) => {
        const came = new Uint8Array(event.data);
        const all = new Uint8Array(rest.length + came.length);
        all.set(rest);
        all.set(came, rest.length);
        let at = 0;
        if (header && all.length >= 13) {
          at = 13;
          header = false;
        }
        while (at + 11 <= all.length) {
          const size = (all[at + 1] << 16) | (all[at + 2] << 8) | all[at + 3];
          if (at + 11 + size + 4 > all.length) break;
          const dts = ((all[at + 7] << 24) | (all[at + 4] << 16) | (all[at + 5] << 8) | all[at + 6]) >>> 0;
          const data = all.subarray(at + 11, at + 11 + size);
          if ((all[at] === 9 || all[at] === 8) && data[1] === 1) told.base = Math.min(told.base ?? dts, dts);
          if (all[at] === 9 && data[1] === 1) {
            const captured = stamp(data.subarray(5));
            const pts = dts + (((data[2] << 24) | (data[3] << 16) | (data[4] << 8)) >> 8);
            if (captured !== null) told.pictures.push({ pts, captured, came: wall() });
            if (told.pictures.length > 2_000) told.pictures.shift();
          }
          at += 11 + size + 4;
        }
        rest = all.slice(at);
      });
    }
  }
  window.WebSocket = Along;
}

/** Run in the page: for so many milliseconds, how old each picture is when it comes and when it is shown. */
export async function ages(ms) {
  const video = document.querySelector('video:not(.hidden)');
  const shown = [];
  const until = performance.now() + ms;
  await new Promise((done) => {
    const look = (now, frame) => {
      const told = window.flv;
      const pts = frame.mediaTime * 1_000 + told.base;
      const of = told.pictures.findLast((picture) => Math.abs(picture.pts - pts) < 10);
      if (of) shown.push({ came: of.came - of.captured, shown: performance.timeOrigin + frame.expectedDisplayTime - of.captured });
      if (performance.now() < until) video.requestVideoFrameCallback(look);
      else done();
    };
    video.requestVideoFrameCallback(look);
    // A picture that never comes must not wait for ever.
    setTimeout(done, ms + 3_000);
  });
  return shown;
}

export const median = (numbers) => [...numbers].sort((a, b) => a - b)[Math.floor(numbers.length / 2)];
