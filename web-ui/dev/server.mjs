// For working on the panel without a box: serves dist/ (build first, or run `npx vite build --watch` beside it) and plays
// an API with the shapes of the real one, from status objects that a real Regia gave. It is no test of anything.
// Usage: node dev/server.mjs [--port 8090] [--scene standby|air|degraded|ending|empty|viewer] [--drop]
import { createServer } from 'node:http';
import { existsSync, readFileSync } from 'node:fs';
import { extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { WebSocketServer } from 'ws';

const arg = (name, otherwise) => {
  const at = process.argv.indexOf(`--${name}`);
  return at < 0 ? otherwise : process.argv[at + 1];
};
const dist = fileURLToPath(new URL('../dist', import.meta.url));
const port = Number(arg('port', 8090));
const start = arg('scene', 'standby');
const recorded = JSON.parse(readFileSync(new URL('recorded.json', import.meta.url)));

const clone = (value) => structuredClone(value);
const status = clone(recorded.standby);
const empty = start === 'empty';
let viewer = start === 'viewer';
const SOURCES = empty ? [] : [
  { id: 'stage', kind: 'v4l2', device: '/dev/video0' }, { id: 'slides', kind: 'v4l2', device: '/dev/video1' },
  { id: 'balcony', kind: 'rtsp', url: 'rtsp://balcony.local/stream1' }, { id: 'opener', kind: 'file', path: 'clips/opener.mp4' },
  { id: 'lectern', kind: 'alsa', device: 'hw:1,0' },
];
const flat = (source, x = 0, y = 0, width = 1, height = 1) => ({ id: source, content: { source }, place: { x, y, width, height }, opacity: 1, crop: { left: 0, top: 0, right: 0, bottom: 0 }, border: null, chroma_key: null, z: 0, or: null });
const scene = (id, name, layers, more = {}) => ({ id, name, layers, still: false, then: null, clip: false, ...more });
const SCENES = empty ? [] : [
  scene('wide', 'Wide', [flat('balcony')]), scene('speaker', 'Speaker', [flat('stage')]), scene('slides', 'Slides', [flat('slides')]),
  scene('pip', 'Speaker and slides', [flat('slides'), flat('stage', 0.68, 0.66, 0.29, 0.29)]),
  scene('opener', 'Opener', [flat('opener')], { clip: true, then: 'wide' }),
  scene('slate', 'Slate', [{ ...flat('x'), content: { image: 'slate.png' } }], { still: true }),
];
const DESTINATIONS = empty ? [] : [
  { id: 'linkedin', platform: 'linkedin', server: 'rtmps://1-abc.media.linkedin.com:443/live', key_secret: 'linkedin', uplinks: ['fibre', 'lte'] },
  { id: 'youtube', platform: 'youtube', server: 'rtmps://a.rtmps.youtube.com:443/live2', key_secret: 'youtube', uplinks: ['fibre', 'lte'] },
  { id: 'rehearsal', platform: 'rehearsal', server: 'rtmp://127.0.0.1:1935/live', key_secret: 'rehearsal' },
];
const tables = { source: SOURCES, scene: SCENES, destination: DESTINATIONS };
let keys = DESTINATIONS.map((it) => ({ slot: it.id, fingerprint: 'ends …x7Qd, saved Tuesday, not used yet', saved_ms: Date.now(), single_use: it.id === 'linkedin', used: null }));
const desk = { holder: viewer ? 'anna' : null, mine: false, asked_by: null };
let text = readFileSync(new URL('../../config/regia.toml', import.meta.url), 'utf8');
const users = [{ name: 'admin', role: 'admin' }, { name: 'anna', role: 'operator' }, { name: 'volunteer', role: 'viewer' }];
let signedIn = arg('signed', 'yes') === 'yes';

const mix = {
  scene: 'wide', preview: empty ? null : 'speaker', transition: null, black: false, overlays: [{ id: 'lower', on: false }, { id: 'ticker', on: false }],
  titles: { speaker: ['Anna Rossi', 'Mayor of Trento'], news: ['Registration closes at 12:00'] }, clip: null,
  audio: Object.fromEntries(['lectern', 'stage', 'balcony'].map((id) => [id, { mode: 'on', gain_db: id === 'stage' ? -3 : 0, mute: id === 'stage', pan: 0, channels: 'stereo', delay_ms: 0, high_pass_hz: null, compressor: null, duck: null, device: null }])),
};
status.mix = empty ? null : mix;
status.sources = SOURCES.map((it) => ({ id: it.id, state: 'live', detail: '', health: { ...recorded.onair.sources[0].health, id: it.id, frames: 9000, late: 0, fps: 25, format: '1920x1080 25 fps, 48000 Hz stereo' } }));
status.delay_s = 10;
status.video_kbps = 6000;

const log = [];
let seq = 0;
const clients = new Set();
const send = (message) => {
  seq += 1;
  const data = JSON.stringify({ seq, ...message });
  for (const client of clients) if (!paused) client.send(data);
};
let paused = false;
const say = (event, sentence, more = {}) => {
  const entry = { at_ms: Date.now(), session: status.session, elapsed_s: status.elapsed_s, who: 'regia', event, text: sentence, ...more };
  log.push(entry);
  send({ kind: 'log', entry });
};
const tell = () => send({ kind: 'status', status });
const live = () => ['ON AIR', 'ON AIR, DEGRADED', 'ON AIR, BACKUP UPLINK', 'REHEARSAL', 'SLATE'].includes(status.state);

const destination = (id, more = {}) => ({
  ...clone(recorded.onair.destinations[0]), id, platform: DESTINATIONS.find((it) => it.id === id)?.platform ?? 'custom', uplink: 'fibre', standby: 'lte', ingest: 'ingest:443',
  bitrate_kbps: 6012, rtt_ms: 24, hold_used_s: 0.3, hold_s: 30, outage_left_s: 29.7, ends_in_s: id === 'linkedin' ? 2 * 3600 + 772 : null, state: 'on_air', ...more,
});
function goLive(ids) {
  status.session = '20260731-193000';
  status.state = ids.every((id) => id === 'rehearsal') ? 'REHEARSAL' : 'ON AIR';
  status.elapsed_s = start === 'standby' ? 1 : 6432;
  status.destinations = ids.map((id) => destination(id));
  say('started', `The broadcast to ${ids.join(' and ')} starts; it is recorded to master.flv.`, { who: { operator: 'admin' } });
}
if (start !== 'standby' && !empty && !viewer) goLive(['linkedin', 'youtube']);
if (viewer) goLive(['linkedin', 'youtube']);
if (start === 'degraded') {
  status.state = 'ON AIR, DEGRADED';
  Object.assign(status.destinations[0], { state: 'reconnecting', error: 'fibre carries nothing since 12 s; regia dials again over lte', hold_used_s: 12, outage_left_s: 18, bitrate_kbps: 0, uplink: null, standby: 'lte', ends_in_s: 14 * 60 });
  status.alarms = ['silent'];
  Object.assign(status.sources[2], { state: 'lost', detail: 'no route to balcony.local' });
  mix.overlays[0].on = true;
}
if (start === 'ending') {
  status.state = 'ENDING';
  status.ending_s = 4;
  for (const it of status.destinations) Object.assign(it, { ending: true, hold_used_s: 3.6 });
}
say('source_live', 'Source stage is live (1920x1080 25 fps).');
say('failover', 'linkedin is delivered by lte instead of fibre after 0.4 s: nothing was lost.');

const level = () => {
  const t = Date.now() / 1000;
  const db = (base, depth, speed) => base + depth * Math.sin(t * speed) + Math.random() * 3;
  return {
    programme: { peak_db: [db(-14, 4, 3), db(-14, 4, 3.2)], momentary_lufs: db(-17, 2, 2), short_term_lufs: db(-16.2, 0.4, 0.5), integrated_lufs: -16.4, true_peak_db: -1.8, limited_db: 0 },
    inputs: ['lectern', 'stage', 'balcony'].map((id, index) => ({ id, peak_db: [db(-18 - index * 6, 5, 4 + index), db(-18 - index * 6, 5, 4.1)], open: !mix.audio[id].mute, reduced_db: 0, ducked_db: 0 })),
  };
};
setInterval(() => { if (!empty) send({ kind: 'levels', levels: level() }); }, 100);
setInterval(() => {
  if (live()) {
    status.elapsed_s += 0.25;
    for (const it of status.destinations) if (it.ends_in_s) it.ends_in_s -= 0.25;
    for (const it of status.destinations) if (it.state === 'on_air') Object.assign(it, { bitrate_kbps: 5900 + Math.round(Math.random() * 300), rtt_ms: 20 + Math.random() * 8 });
  }
  status.health_age_s = 0.4;
  status.units += 18;
  tell();
}, 250);
setInterval(() => send({ kind: 'ping' }), 1000);

const picture = (of) => {
  const hue = [...of].reduce((sum, letter) => sum + letter.charCodeAt(0) * 7, 0) % 360;
  const x = 100 + ((Date.now() / 20) % 1000);
  return `<svg xmlns="http://www.w3.org/2000/svg" width="640" height="360" viewBox="0 0 1280 720"><rect width="1280" height="720" fill="hsl(${hue} 30% 22%)"/><circle cx="${x}" cy="380" r="120" fill="hsl(${hue} 45% 48%)"/><rect y="560" width="1280" height="160" fill="hsl(${hue} 25% 14%)"/><text x="60" y="120" font-size="72" fill="#fff" font-family="sans-serif">${of}</text></svg>`;
};

function api(method, path, body, headers) {
  const problem = (code, statusCode, title) => [statusCode, { type: `regia:${code}`, title, status: statusCode }];
  const me = () => ({ user: 'admin', role: viewer ? 'viewer' : 'admin', csrf: 'x', desk, zone: 'Europe/Rome' });
  if (path === '/login') {
    if (body.password !== 'correct horse battery') return problem('unauthorised', 401, 'that user and password are not known here');
    signedIn = true;
    return [200, { user: body.user, role: 'admin', csrf: 'x' }];
  }
  if (path === '/setup') { signedIn = true; return [200, { user: 'admin', role: 'admin', csrf: 'x' }]; }
  if (!signedIn) return problem('unauthorised', 401, 'sign in first');
  const [, head, id, what] = path.split('/');
  switch (`${method} /${head}`) {
    case 'GET /me': return [200, me()];
    case 'POST /logout': signedIn = false; return [204, null];
    case 'POST /desk':
      Object.assign(desk, id === 'release' ? { holder: null, mine: false } : id === 'take' ? { holder: 'admin', mine: true, asked_by: null } : { asked_by: 'admin' });
      send({ kind: 'desk', desk });
      return [200, desk];
    case 'GET /status': return [200, status];
    case 'GET /preflight': return [200, start === 'standby' || empty ? recorded.preflight_bad : recorded.preflight];
    case 'GET /sessions': return id ? [200, recorded.report] : [200, empty ? [] : [{ session: recorded.report.session, started_ms: recorded.report.started_ms, ended_ms: recorded.report.ended_ms }, { session: 'b', started_ms: recorded.report.started_ms - 86400000, ended_ms: recorded.report.started_ms - 86400000 + 7200000 }]];
    case 'GET /log': return [200, log];
    case 'GET /keys': return [200, { keys }];
    case 'PUT /keys': keys = [...keys.filter((it) => it.slot !== id), { slot: id, fingerprint: `ends …${body.key.slice(-4)}, saved today, not used yet`, saved_ms: Date.now(), single_use: body.single_use ?? false, used: null }]; return [200, keys.at(-1)];
    case 'DELETE /keys': keys = keys.filter((it) => it.slot !== id); return [200, { keys }];
    case 'GET /scenes': return [200, SCENES];
    case 'GET /sources': return [200, SOURCES];
    case 'GET /destinations': return [200, DESTINATIONS];
    case 'GET /titles': return [200, [{ id: 'speaker', kind: 'lower-third', lines: mix.titles.speaker }, { id: 'news', kind: 'ticker', lines: mix.titles.news }]];
    case 'GET /overlays': return [200, [{ id: 'lower', title: 'speaker' }, { id: 'ticker', title: 'news' }]];
    case 'GET /recordings': return [200, empty ? [] : [{ id: 'master', file: 'master-20261128T001458Z.flv', bytes: 5_412_345_678, session: recorded.report.session, started_ms: recorded.report.started_ms }]];
    case 'GET /users': return [200, users];
    case 'GET /tokens': return [200, [{ id: '1', name: 'Companion', scope: 'operator', expires_ms: Date.now() + 9e8 }]];
    case 'POST /tokens': return [200, { id: '2', token: 'rg_5f0e9c1b7a3d48e2a6' }];
    case 'GET /system': return [200, { version: '0.1.0', uptime_s: 86_400 * 3, doctor: recorded.preflight.rows }];
    case 'GET /config': return id === 'versions' ? [200, [{ at_ms: Date.now() - 9e7, who: 'anna' }]] : [200, { text, etag: '"1"', problems: [] }, { etag: '"1"' }];
    case 'POST /config': return [200, { problems: body.text?.includes('oops') ? [{ severity: 'problem', line: 3, column: 1, path: 'programme.oops', what: 'is not a key of programme', instead: 'did you mean fps?' }] : [], diff: body.text === text ? '' : '-fps = 30\n+fps = 25' }];
    case 'PUT /config':
      if (!id) { text = body.text; return [200, { problems: [], diff: '', applies: 'now' }]; }
      { const list = tables[id]; const at = list.findIndex((it) => it.id === what); const row = { ...(id === 'scene' ? { still: false, then: null, clip: false, name: null } : {}), id: what, ...body }; if (at < 0) list.push(row); else list[at] = row; }
      return [200, { problems: [], diff: '', applies: 'now' }];
    case 'DELETE /config': { const list = tables[id]; list.splice(list.findIndex((it) => it.id === what), 1); } return [200, { problems: [], diff: '', applies: 'now' }];
    case 'POST /live':
      if (id === 'start') goLive(body.destinations.length ? body.destinations : ['linkedin', 'youtube']);
      if (id === 'mark') say('marker', body.text ? `Marked: ${body.text}` : 'Marked.', { who: { operator: 'admin' } });
      if (id === 'extend') status.destinations[0].ends_in_s += body.by_s;
      if (id === 'stop') {
        if (status.destinations.some((it) => it.platform === 'linkedin') && body.confirm !== 'linkedin') return problem('confirm', 409, 'linkedin can\'t reopen an event that has ended: to end it for good, repeat its name (confirm: "linkedin")');
        status.state = 'ENDING';
        status.ending_s = 3;
        setTimeout(() => { Object.assign(status, { state: 'ENDED', destinations: [], session: null, elapsed_s: 0, ending_s: null }); say('ended', 'The broadcast has ended after 12 s.'); tell(); }, 3000);
      }
      tell();
      return [200, status];
    case 'POST /scene':
      if (id === 'preview') mix.preview = body.scene;
      if (id === 'take') { const next = body.scene ?? mix.preview; mix.preview = mix.scene; mix.scene = next; mix.clip = next === 'opener' ? { scene: 'opener', source: 'opener', position_s: 3, length_s: 15 } : null; }
      if (id === 'black') mix.black = body.on;
      status.scene = mix.scene;
      status.preview = mix.preview;
      tell();
      return [200, { ran: { kind: body.transition ?? 'cut', ms: body.ms ?? 0, from: 'left' }, note: '', status }];
    case 'POST /overlays': mix.overlays.find((it) => it.id === id).on = body.on; tell(); return [200, { note: '', status }];
    case 'POST /titles': mix.titles[id] = body.lines; tell(); return [200, { note: '', status }];
    case 'POST /audio': if (id !== 'loudness') { Object.assign(mix.audio[id], body); tell(); } return [200, { note: '', status }];
    case 'POST /dev': // for trying what a lost connection looks like
      paused = id === 'pause';
      return [204, null];
  }
  return problem('not-found', 404, `there is no ${path} here`);
}

const TYPES = { '.js': 'text/javascript', '.css': 'text/css', '.svg': 'image/svg+xml', '.html': 'text/html' };
const server = createServer(async (request, response) => {
  const { pathname } = new URL(request.url, 'http://x');
  if (pathname.startsWith('/api/v1/thumbnails/')) {
    if (empty) { response.writeHead(404).end(); return; }
    const of = pathname.split('/').pop().replace('.jpg', '');
    const shown = of === 'programme' ? mix.scene : of === 'preview' ? mix.preview : of;
    response.writeHead(200, { 'content-type': 'image/svg+xml' }).end(picture(shown ?? ''));
    return;
  }
  if (pathname.startsWith('/api/v1')) {
    let data = '';
    for await (const chunk of request) data += chunk;
    const [code, value, more = {}] = api(request.method, pathname.slice(7), data ? JSON.parse(data) : {}, request.headers);
    response.writeHead(code, { 'content-type': code < 400 ? 'application/json' : 'application/problem+json', ...more });
    response.end(value === null ? undefined : JSON.stringify(value));
    return;
  }
  const file = join(dist, pathname);
  const path = file.startsWith(dist) && extname(file) && existsSync(file) ? file : join(dist, 'index.html');
  response.writeHead(200, {
    'content-type': TYPES[extname(path)] ?? 'application/octet-stream',
    'content-security-policy': "default-src 'self'; img-src 'self' blob: data:; media-src 'self' blob:; object-src 'none'; base-uri 'none'; frame-ancestors 'none'",
  });
  response.end(readFileSync(path));
});
const sockets = new WebSocketServer({ noServer: true });
server.on('upgrade', (request, socket, head) => {
  if (!request.url.startsWith('/api/v1/events') || !signedIn || paused) { socket.destroy(); return; }
  sockets.handleUpgrade(request, socket, head, (client) => {
    clients.add(client);
    client.on('close', () => clients.delete(client));
    seq += 1;
    client.send(JSON.stringify({ seq, kind: 'snapshot', status, log, levels: empty ? null : level(), desk }));
  });
});
server.listen(port, '127.0.0.1', () => console.log(`http://127.0.0.1:${port}`));
