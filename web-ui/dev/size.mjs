// Prints how large the built panel is, and fails when it is larger than a slow link allows.
import { readFileSync, readdirSync, statSync } from 'node:fs';
import { gzipSync } from 'node:zlib';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const LIMIT = 200 * 1024;
const dist = fileURLToPath(new URL('../dist', import.meta.url));
const files = (dir) =>
  readdirSync(dir).flatMap((name) => {
    const path = join(dir, name);
    return statSync(path).isDirectory() ? files(path) : [path];
  });
let panel = 0;
let player = 0;
for (const path of files(dist).filter((path) => !path.endsWith('.gz'))) {
  const size = gzipSync(readFileSync(path), { level: 9 }).length;
  if (path.includes('mpegts')) player += size;
  else panel += size;
}
const kb = (bytes) => `${(bytes / 1024).toFixed(1)} KB`;
console.log(`gzipped: panel ${kb(panel)} of ${kb(LIMIT)} allowed, mpegts.js ${kb(player)} (loaded when a preview is shown)`);
if (panel > LIMIT) {
  console.error('the panel is too large');
  process.exit(1);
}
