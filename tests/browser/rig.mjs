// A real Regia for a real browser: the binary in REGIA_BIN with a state directory and a configuration of its own, rehearsal
// ingests as the platforms, and an uplink whose cable can be pulled.

import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { createInterface } from 'node:readline';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const BIN = process.env.REGIA_BIN ?? fileURLToPath(new URL('../../target/debug/regia', import.meta.url));
export const PASSWORD = 'three words in a row';

export const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

export async function until(what, within, check) {
  const end = Date.now() + within;
  let last;
  for (;;) {
    try {
      const found = await check();
      if (found) return found;
    } catch (error) {
      last = error;
    }
    if (Date.now() > end) throw new Error(`not within ${within} ms: ${what}${last ? ` (${last.message})` : ''}`);
    await sleep(50);
  }
}

const freePort = () =>
  new Promise((done, failed) => {
    const server = createServer();
    server.on('error', failed);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address();
      server.close(() => done(port));
    });
  });

/** A process of ours, with what it says. */
class Program {
  constructor(command, args, env = {}) {
    this.lines = [];
    this.child = spawn(command, args, { env: { ...process.env, NO_COLOR: '1', ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
    for (const stream of [this.child.stdout, this.child.stderr]) createInterface({ input: stream }).on('line', (line) => this.lines.push(line));
    this.over = new Promise((done) => this.child.on('exit', (code, signal) => done(code ?? signal)));
    this.child.on('exit', () => (this.ended = true));
  }

  async says(pattern, within = 60_000) {
    const said = await until(`${this.child.spawnfile} says ${pattern}`, within, () => {
      for (const line of this.lines) {
        const match = line.match(pattern);
        if (match) return match;
      }
      return this.ended;
    });
    if (said === true) throw new Error(`it ended:\n${this.lines.slice(-12).join('\n')}`);
    return said;
  }

  signal(name) {
    if (!this.ended) this.child.kill(name);
  }

  async end() {
    if (this.ended) return;
    this.child.kill('SIGTERM');
    await Promise.race([this.over, sleep(4_000)]);
    // The second gives up what is left.
    if (!this.ended) this.child.kill('SIGTERM');
    await Promise.race([this.over, sleep(4_000)]);
    if (!this.ended) this.child.kill('SIGKILL');
    await this.over;
  }
}

/** A cable from this machine to another one, which a network namespace plays. */
class Cable {
  static possible = process.getuid?.() === 0;

  constructor() {
    const id = process.pid % 10_000;
    this.net = `regiaweb${id}`;
    this.here = `rgw${id}a`;
    this.there = `rgw${id}b`;
    const subnet = `10.${200 + (id % 50)}.${Math.floor(id / 50)}`;
    this.address = `${subnet}.2`;
    const ip = (...args) => execFileSync('ip', args);
    ip('netns', 'add', this.net);
    ip('link', 'add', this.here, 'type', 'veth', 'peer', 'name', this.there, 'netns', this.net);
    ip('addr', 'add', `${subnet}.1/24`, 'dev', this.here);
    ip('-n', this.net, 'addr', 'add', `${this.address}/24`, 'dev', this.there);
    ip('-n', this.net, 'link', 'set', 'lo', 'up');
    ip('-n', this.net, 'link', 'set', this.there, 'up');
    ip('link', 'set', this.here, 'up');
  }

  /** The other end goes, as when a plug is pulled: the kernel tells that the carrier is gone. */
  pull() {
    execFileSync('ip', ['-n', this.net, 'link', 'set', this.there, 'down']);
  }

  plug() {
    execFileSync('ip', ['-n', this.net, 'link', 'set', this.there, 'up']);
  }

  end() {
    try {
      execFileSync('ip', ['netns', 'del', this.net], { stdio: 'ignore' });
      execFileSync('ip', ['link', 'del', this.here], { stdio: 'ignore' });
    } catch {
      // The one goes with the other.
    }
  }
}

/** A network between the browser and the box, which can go away: nothing is refused then, and nothing comes through. */
export class Network {
  static async to(port) {
    const network = new Network();
    network.gone = false;
    network.pairs = new Set();
    network.server = createServer((near) => {
      if (network.gone) return network.pairs.add([near]);
      const far = connect(port, '127.0.0.1');
      const pair = [near, far];
      network.pairs.add(pair);
      near.pipe(far);
      far.pipe(near);
      const over = () => {
        pair.forEach((socket) => socket.destroy());
        network.pairs.delete(pair);
      };
      for (const socket of pair) socket.on('error', over).on('close', over);
    });
    await new Promise((done) => network.server.listen(0, '127.0.0.1', done));
    network.base = `http://127.0.0.1:${network.server.address().port}`;
    return network;
  }

  cut() {
    this.gone = true;
    for (const [near, far] of this.pairs) {
      near.unpipe();
      far?.unpipe();
      near.pause();
      far?.pause();
    }
  }

  /** What waited in it comes, as a kernel sends it again. */
  mend() {
    this.gone = false;
    for (const pair of this.pairs) {
      const [near, far] = pair;
      if (far) {
        near.pipe(far);
        far.pipe(near);
      } else {
        // It never got through.
        near.destroy();
        this.pairs.delete(pair);
      }
    }
  }

  end() {
    for (const pair of this.pairs) pair.forEach((socket) => socket.destroy());
    this.server.close();
  }
}

export class Rig {
  /** Ready: the daemon runs, its panel waits for the first password. */
  static async start({ sources = 1 } = {}) {
    const rig = await Rig.around();
    const panel = await freePort();
    const rehearsal = await freePort();
    rig.base = `http://127.0.0.1:${panel}`;
    rig.rehearsalServer = `rtmp://127.0.0.1:${rehearsal}/live`;
    rig.rehearsal = new Program(BIN, ['rehearse', '--listen', `127.0.0.1:${rehearsal}`]);
    const { uplink } = rig;
    const extra = sources > 1 ? '[[source]]\nid = "bars"\nkind = "test"\n\n[[scene]]\nid = "bars"\nlayers = [{ source = "bars" }]\n\n' : '';
    rig.config = join(rig.dir, 'regia.toml');
    const configuration = (titles) =>
      `# The hall's own box.\n[programme]\nwidth = 640\nheight = 360\nfps = 25\n\n[programme.video]\nencoder = "x264"\npreset = "ultrafast"\ntune = "latency"\nbitrate_kbps = 1500\nmin_bitrate_kbps = 500\n\n` +
        `[[source]]\nid = "house"\nkind = "test"   # until the cameras are there\n\n[[scene]]\nid = "house"\nlayers = [{ source = "house" }]\n\n${extra}${uplink}` +
        titles +
        `[[recording]]\nid = "master"\nkind = "copy"\npath = "recordings"\n\n[panel]\nlisten = "127.0.0.1:${panel}"\n`;
    writeFileSync(rig.config, configuration(TITLES));
    // A Regia that can't do titles says so.
    if (spawnSync(BIN, ['check', '--config', rig.config]).status === 2) writeFileSync(rig.config, configuration(''));
    try {
      await rig.run();
      const said = await rig.daemon.says(/Set the password here, once: (\S+)/);
      rig.link = said[1];
    } catch (error) {
      await rig.end();
      throw error;
    }
    return rig;
  }

  /** `regia demo`, which brings its own configuration, rehearsal and state. */
  static async demo() {
    const rig = await Rig.around();
    rig.isDemo = true;
    const panel = await freePort();
    rig.base = `http://127.0.0.1:${panel}`;
    try {
      rig.daemon = new Program(BIN, ['demo', '--standby', '--no-browser', '--port', String(panel)]);
      rig.link = (await rig.daemon.says(/Set the password here, once: (\S+)/))[1];
      rig.config = join((await rig.daemon.says(/reaches it by --state (\S+)/))[1], '../regia.toml');
    } catch (error) {
      await rig.end();
      throw error;
    }
    return rig;
  }

  /** What is around the box: a place for its files and, for root, a far ingest at the other end of a cable. */
  static async around() {
    const rig = new Rig();
    rig.dir = mkdtempSync(join(tmpdir(), 'regia-panel-'));
    mkdirSync(join(rig.dir, 'recordings'));
    rig.uplink = '';
    if (Cable.possible) {
      const far = 19_350;
      rig.cable = new Cable();
      rig.farServer = `rtmp://${rig.cable.address}:${far}/live`;
      rig.far = new Program('ip', ['netns', 'exec', rig.cable.net, BIN, 'rehearse', '--listen', `${rig.cable.address}:${far}`]);
      rig.uplink = `[[uplink]]\nid = "fibre"\ninterface = "${rig.cable.here}"\n\n`;
    }
    return rig;
  }

  async run() {
    this.daemon = new Program(BIN, ['run', '--config', this.config, '--state', join(this.dir, 'state')]);
    await this.daemon.says(/the panel is there/);
  }

  /** As the box itself has it. */
  status() {
    return JSON.parse(execFileSync(BIN, ['live', 'status', '--json', '--state', join(this.dir, 'state')]));
  }

  take(scene) {
    execFileSync(BIN, ['scene', 'take', scene, '--state', join(this.dir, 'state')]);
  }

  get pid() {
    return this.daemon.child.pid;
  }

  configured = () => readFileSync(this.config, 'utf8');

  async end() {
    await Promise.all([this.daemon?.end(), this.rehearsal?.end(), this.far?.end()]);
    this.cable?.end();
    if (!process.env.REGIA_KEEP) rmSync(this.dir, { recursive: true, force: true });
  }
}

const TITLES = `[[title]]
id = "speaker"
kind = "lower-third"
lines = ["Anna Rossi", "Mayor of Trento"]

[[overlay]]
id = "lower"
title = "speaker"

`;
